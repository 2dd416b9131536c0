"""Builds with TensorRT for RTX in a process of its own: `python rtx_build.py JSON`, answers with JSON.

A fault inside TensorRT then ends this process and not the test run; the machine needs no GPU.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorrt_rtx

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt.build import Order, Steps, build


def order(raw: dict[str, Any]) -> Order:
    profiles = tuple(Steps(*lengths) for lengths in raw.pop("profiles"))
    return Order(Path(raw.pop("onnx")), profiles, **{"workspace_bytes": 256 << 20, **raw})


def run(raw: dict[str, Any]) -> dict[str, Any]:
    wanted = order(raw)
    wanted = replace(wanted, capabilities=tuple(wanted.capabilities))
    try:
        built = build(tensorrt_rtx, wanted)
    except EdgevoiceError as error:
        return {"error": str(error)}
    return {"bytes": len(built.plan), "log": [list(line) for line in built.log]}


if __name__ == "__main__":
    print(json.dumps([run(raw) for raw in json.loads(sys.argv[1])]))
