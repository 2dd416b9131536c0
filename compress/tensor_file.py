"""Safetensors files whose bytes follow from what they hold: their digests name runs."""

from __future__ import annotations

import json

LENGTH_BYTES = 8


def in_order(data: bytes) -> bytes:
    """The file with its header sorted; safetensors 0.8 writes the metadata in another order each time."""
    start = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    entries = json.loads(data[LENGTH_BYTES:start])
    header = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % LENGTH_BYTES)
    return len(header).to_bytes(LENGTH_BYTES, "little") + header + data[start:]
