"""Counts the operators that really run in INT8, after ONNX Runtime has optimised the file.

A file can be called INT8 and compute in FP32: weights that are only stored in 8 bits are folded back on
loading.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx

from calibration.graph import constants, producers
from calibration.ranges import session

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


def integer_operators(path: str | Path) -> dict[str, int]:
    """Integer operators of the graph that ONNX Runtime runs on this CPU, by type."""
    with tempfile.TemporaryDirectory() as folder:
        dump = str(Path(folder) / "optimised.onnx")
        session(str(path), dump=dump)
        counts = Counter(node.op_type for node in onnx.load(dump).graph.node)
    return {name: count for name, count in sorted(counts.items()) if name in COMPUTE}


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
