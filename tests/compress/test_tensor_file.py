"""Files of tensors: the same content is the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from compress.tensor_file import in_order

TENSORS = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.ones(5, np.int16)}
METADATA = {f"key {number}": f'"{number}" é' for number in range(8)}


def test_the_same_content_is_the_same_bytes() -> None:
    assert len({in_order(save(TENSORS, METADATA)) for _ in range(20)}) == 1


def test_what_it_holds_stays(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(in_order(save(TENSORS, METADATA)))
    with safe_open(path, "numpy") as file:
        assert file.metadata() == METADATA
        assert {name: file.get_tensor(name).tolist() for name in file.keys()} == {  # noqa: SIM118
            name: value.tolist() for name, value in TENSORS.items()
        }
