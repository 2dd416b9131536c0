"""Counts the operators that really run in INT8, after ONNX Runtime has optimised the file.

A file can be called INT8 and compute in FP32: weights that are only stored in 8 bits are folded back on
loading.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from calibration.atomic import CannotWrite
from calibration.graph import constants, producers
from calibration.ranges import session
from edgevoice.errors import EdgevoiceError

COMPUTE = frozenset(
    [
        "QLinearConv",
        "ConvInteger",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QLinearMatMul",
        "QGemm",
        "DynamicQuantizeMatMul",
        "QAttention",
        "DynamicQuantizeLSTM",
        "QLinearAdd",
        "QLinearMul",
        "QLinearLeakyRelu",
        "QLinearSigmoid",
    ]
)
HEAVY = frozenset(
    [
        "QLinearConv",
        "ConvInteger",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QLinearMatMul",
        "QGemm",
        "DynamicQuantizeMatMul",
        "QAttention",
        "DynamicQuantizeLSTM",
    ]
)
"""The integer operators that do the multiplications; a file without any of them is FP32 in disguise."""
GRAPHS = 2
"""An optimised graph takes at most this many times the file's size: folded constants are written out."""


def integer_operators(path: str | Path) -> dict[str, int]:
    """Integer operators of the graph that ONNX Runtime runs on this CPU, by type.

    Raises `CannotWrite` where the folder for temporary files is full, `EdgevoiceError` for a file that does
    not load.
    """
    with _temporary() as folder:
        dump = folder / "optimised.onnx"
        try:
            session(str(path), dump=str(dump))
        except EdgevoiceError:
            _require_room(folder, Path(path).stat().st_size)
            raise
        counts = Counter(node.op_type for node in onnx.load(str(dump)).graph.node)
    return {name: count for name, count in sorted(counts.items()) if name in COMPUTE}


@contextmanager
def _temporary() -> Iterator[Path]:
    try:
        folder = tempfile.mkdtemp()
    except OSError as error:
        raise CannotWrite(f"no folder for temporary files can be written: {error}") from None
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_room(folder: Path, size: int) -> None:
    """The runtime does not say that it could not write its graph; that is no fault of the file's."""
    if shutil.disk_usage(folder).free < GRAPHS * size:
        raise CannotWrite(f"{folder.parent} has no room for {size / 1e6:.0f} MB: free some, or set TMPDIR")


def explicit_int8(model: onnx.ModelProto) -> list[str]:
    """Convolutions and products whose data and weights both come from DequantizeLinear: TensorRT's INT8
    candidates."""
    made, held = producers(model.graph), constants(model)
    found = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm", "ConvTranspose"):
            continue
        sources = [made.get(name) for name in node.input[:2] if name not in held]
        if len(sources) == 2 and all(source is not None and _dequantize(source) for source in sources):
            found.append(node.name)
    return found


def _dequantize(node: onnx.NodeProto) -> bool:
    return bool(node.op_type == "DequantizeLinear")
