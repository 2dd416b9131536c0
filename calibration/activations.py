"""How much working memory an engine needs for a graph: a count of what must lie in memory at one time.

A convolution or matrix product reads its data from memory and writes its result there; what is computed
element by element between two of them is fused with one or the other, so that of what the first gives and the
second reads one tensor is kept. The largest sum of such data that is needed at one time is the engine's
working memory, but for what its kernels want for themselves. Only shapes are looked at.

The rules follow readings of TensorRT for RTX: of Piper's vocoder, of the encoders of joe, of its student and
of Kokoro's. `tests/compress/test_rtx_voices.py` holds the estimate against all stages of these voices.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from calibration.census import explicit_int8
from calibration.graph import producers, tidy
from calibration.ranges import session
from targets.advice import KERNELS_BYTES

PRODUCTS = frozenset(["Conv", "ConvTranspose", "MatMul", "Gemm"])
VIEWS = frozenset(["DequantizeLinear", "Identity", "Reshape", "Squeeze", "Unsqueeze"])
"""The same data under another name, where it is read by a product."""
POINTWISE = VIEWS | frozenset(
    "Add Cast Clip Cos Div Erf Exp LeakyRelu Max Min Mul Neg Pow QuantizeLinear Relu Sigmoid Sin Sqrt Sub "
    "Tanh Transpose Where".split()
)
"""Fused with the product before it, where nothing else reads what that gives."""
TURNS = frozenset(["Concat", "Gather", "Pad", "Slice"])
"""What relative positions do with squares of the length between the products of an attention."""
SINGLE = 4
"""Bytes of a number in FP32."""
WIDE = 4
"""Bytes of a number that an INT8 convolution gives before it is scaled; a matrix product scales at once."""
Shapes = dict[str, tuple[tuple[int, ...], int]]
"""Shape of a tensor, and bytes of a number of it."""
_LENGTHS = (40, 60)
"""Long enough that no window of relative positions is cut short."""


class Span(NamedTuple):
    """Bytes in memory from one node to another."""

    start: int
    last: int
    size: int


def activation_bytes(model: onnx.ModelProto, steps: int) -> int:
    """An estimate of an engine's working memory for ``steps`` ids or frames.

    ``model``: with no free axis but time, which every size is taken to follow evenly.
    """
    model = tidy(_copy(model))
    runs = [_shapes(model, length) for length in _LENGTHS]
    sizes = _sizes(model, runs, steps)
    kept = _in_memory(model) - _square(runs)
    until = _last_reads(model, kept)
    spans = [
        Span(number, until[name], sizes.get(name, 0))
        for number, node in enumerate(model.graph.node)
        for name in set(node.output) & kept
    ]
    change = [0] * (len(model.graph.node) + 1)
    for span in [*spans, *_attentions(model, runs, sizes)]:
        change[span.start] += span.size
        change[span.last + 1] -= span.size
    return max(accumulate(change)) + KERNELS_BYTES


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _in_memory(model: onnx.ModelProto) -> set[str]:
    """What products read, and what they write that is not at once made into that."""
    made = producers(model.graph)
    kept = set()
    for node in model.graph.node:
        if node.op_type in PRODUCTS:
            kept.update(node.output)
            for name in node.input:
                while name in made and made[name].op_type in VIEWS:
                    name = made[name].input[0]
                if name in made:
                    kept.add(name)
    leads = _leads(model, kept)
    return (kept - _fused(model, leads)) | _forks(model, leads)


def _leads(model: onnx.ModelProto, kept: set[str]) -> dict[str, set[str]]:
    """Where what is made of a tensor lies in memory next; "" where not pointwise nodes alone make it."""
    ends = {output.name for output in model.graph.output}
    leads: dict[str, set[str]] = defaultdict(set)
    for node in reversed(model.graph.node):
        for name in node.output:
            further = {name} if name in kept or name in ends else leads[name]
            for read in node.input:
                leads[read] |= further if node.op_type in POINTWISE else {""}
    return leads


def _fused(model: onnx.ModelProto, leads: Mapping[str, set[str]]) -> set[str]:
    """Results of products that only pointwise nodes read, on their way to one tensor in memory."""
    ends = {output.name for output in model.graph.output}
    results = {name for node in model.graph.node if node.op_type in PRODUCTS for name in node.output}
    return {name for name in results - ends if len(leads[name]) == 1 and "" not in leads[name]}


def _forks(model: onnx.ModelProto, leads: Mapping[str, set[str]]) -> set[str]:
    """What several nodes read on the way to several places, such as what goes past a block too: it lies there
    once, not all that it is the sum of."""
    readers = Counter(name for node in model.graph.node for name in set(node.input))
    made = (name for node in model.graph.node if node.op_type not in VIEWS for name in node.output)
    return {name for name in made if readers[name] > 1 and len(leads[name]) > 1}


def _attentions(model: onnx.ModelProto, runs: Sequence[Shapes], sizes: Mapping[str, int]) -> list[Span]:
    """Of each attention all its squares where the graph turns them: at free lengths the builder keeps each
    step to the end. Any other is one kernel, which keeps one of them in FP32 and none in FP16."""
    square = _square(runs)
    found: dict[str, Span] = {}  # by tensor; those of one attention share theirs
    turned = False
    for number, node in enumerate(model.graph.node):
        made, read = square.intersection(node.output), found.keys() & set(node.input)
        if not read and (not made or node.op_type not in PRODUCTS):
            continue  # such as a mask, which all attentions read
        turned |= node.op_type in TURNS
        parts = {found[name] for name in read}
        size = sum(sizes[name] for name in made) if node.op_type not in VIEWS else 0
        first = min((part.start for part in parts), default=number)
        whole = Span(first, number, size + sum(part.size for part in parts))
        found |= dict.fromkeys([*made, *(name for name, part in found.items() if part in parts)], whole)
    if turned:
        return list(set(found.values()))
    largest: dict[Span, int] = {}
    for name, span in found.items():
        if runs[0][name][1] == SINGLE:
            largest[span] = max(largest.get(span, 0), sizes[name])
    return [span._replace(size=size) for span, size in largest.items()]


def _last_reads(model: onnx.ModelProto, kept: set[str]) -> dict[str, int]:
    """The number of the last node that needs a tensor, through what is not kept in between."""
    reads: dict[str, list[int]] = defaultdict(list)
    nodes = list(model.graph.node)
    for number, node in enumerate(nodes):
        for name in node.input:
            reads[name].append(number)
    last: dict[str, int] = {}
    for number in range(len(nodes) - 1, -1, -1):  # whoever reads an output comes later, and is known already
        for name in nodes[number].output:
            through = [last[out] for n in reads[name] for out in nodes[n].output if out not in kept]
            last[name] = max([number, *reads[name], *through])
    return last


def _sizes(model: onnx.ModelProto, runs: Sequence[Shapes], steps: int) -> dict[str, int]:
    """Bytes of every tensor at ``steps``, from its shapes at two lengths."""
    wide = _wide(model)
    few, between = _LENGTHS[0], _LENGTHS[1] - _LENGTHS[0]
    sizes = {}
    for name, (shape, size) in runs[0].items():
        pairs = zip(shape, runs[1][name][0], strict=True)
        counts = [at + (later - at) * (steps - few) // between for at, later in pairs]
        sizes[name] = int(np.prod(counts, dtype=np.int64)) * (WIDE if name in wide else size)
    return sizes


def _square(runs: Sequence[Shapes]) -> set[str]:
    """What has more than one axis that follows the length."""
    few, more = runs
    pairs = {name: zip(shape, more[name][0], strict=True) for name, (shape, _) in few.items()}
    return {name for name, row in pairs.items() if sum(at != later for at, later in row) > 1}


def _wide(model: onnx.ModelProto) -> set[str]:
    int8 = set(explicit_int8(model))
    rows = (node for node in model.graph.node if node.name in int8 and node.op_type != "MatMul")
    return {name for node in rows for name in node.output}


def _shapes(model: onnx.ModelProto, length: int) -> Shapes:
    """Shape and bytes a number of every tensor that a node makes."""
    types = {entry.name: entry.type.tensor_type.elem_type
             for entry in onnx.shape_inference.infer_shapes(model).graph.value_info}  # fmt: skip
    ends = {output.name for output in model.graph.output}
    seen = _copy(model)
    names = [name for node in model.graph.node for name in node.output if name in types and name not in ends]
    seen.graph.output.extend(helper.make_tensor_value_info(name, types[name], None) for name in names)
    feeds = {entry.name: _ones(entry, length) for entry in model.graph.input}
    runner = session(seen, plain=True)
    every = [output.name for output in runner.get_outputs()]
    values = runner.run(every, feeds)
    return {name: (value.shape, value.dtype.itemsize) for name, value in zip(every, values, strict=True)}


def _ones(entry: onnx.ValueInfoProto, length: int) -> npt.NDArray[np.generic]:
    kind = entry.type.tensor_type
    shape = [dim.dim_value or length for dim in kind.shape.dim]
    return np.ones(shape, np.int64 if kind.elem_type == TensorProto.INT64 else np.float32)
