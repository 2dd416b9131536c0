"""One build, in a process of its own: TensorRT keeps what a build took, and a fault ends the process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compress import rtx
from compress.rtx.figures import Figures, read
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt import build as builder
from edgevoice.runtime.engines.tensorrt import library
from edgevoice.runtime.engines.tensorrt.build import Order, Steps
from targets import child

LIMIT_SECONDS = 1800.0


def build(order: Order, out: Path | None = None, seconds: float = LIMIT_SECONDS) -> Figures:
    """Build ``order`` and write the plan to ``out``, if that is given, whole or not at all.

    Raises `EdgevoiceError` with TensorRT's reason, also if its process dies or does not end in ``seconds``.
    """
    rtx.require()
    asked = {**asdict(order), "onnx": str(order.onnx)}
    try:
        answer = child.answer("-m", "compress.rtx.build", json.dumps(asked), str(out or ""), seconds=seconds)
    except child.Failed as error:
        raise EdgevoiceError(f"TensorRT for RTX did not build {order.onnx}: {error}") from None
    if "error" in answer:
        raise EdgevoiceError(str(answer["error"]))
    return Figures(**{**answer, "int8": tuple(answer["int8"])})


def _order(raw: dict[str, Any]) -> Order:
    profiles = tuple(Steps(**steps) for steps in raw.pop("profiles"))
    capabilities = tuple(raw.pop("capabilities"))
    return Order(Path(raw.pop("onnx")), profiles, capabilities=capabilities, **raw)


def _built(order: Order, out: str) -> dict[str, Any]:
    try:
        built = builder.build(library.load(rtx.LIBRARY), order)
        if out:
            _write(Path(out), built.plan)
    except OSError as error:
        return {"error": f"cannot write {out}: {error.strerror}"}
    except EdgevoiceError as error:
        return {"error": str(error)}
    return asdict(read([text for _, text in built.log], len(built.plan)))


def _write(out: Path, plan: bytes) -> None:
    partial = out.with_name(f".partial.{out.name}")
    try:
        partial.write_bytes(plan)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> None:
    """What `build` starts: an order as JSON, and the plan's file."""
    print(json.dumps(_built(_order(json.loads(arguments[0])), arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
