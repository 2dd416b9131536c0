"""A Piper voice's text encoder out of its stage file into torch, and checked against it.

What is looked for: in each layer one Softmax; the product before it has queries on its left and keys on its
right; the product behind it has values; the two convolutions after the one that joins the heads feed forward.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress import surgery
from compress.prune.encoder import TeacherEncoder, TeacherEncoderConfig
from compress.prune.walk import (
    Arrays,
    Unrecognised,
    above,
    affine_pairs,
    convolution,
    nearest_above,
    nearest_below,
    only,
    scalar,
)
from compress.teachers.staged import session
from edgevoice.errors import EdgevoiceError

TOLERANCE = 1e-4


def read_config(model: onnx.ModelProto, name: str, **timing: Any) -> TeacherEncoderConfig:
    """The encoder's shape alone; see `read_encoder`."""
    return _read_or_refuse(model, name, timing)[0]


def read_encoder(model: onnx.ModelProto, name: str, **timing: Any) -> TeacherEncoder:
    """The encoder of voice ``name`` with its own weights; what follows the states to durations is new.

    ``timing``: the fields of `TeacherEncoderConfig` that shape the duration head. Raises `EdgevoiceError`
    where the graph is none of a text encoder that is known, or the copy differs from it by more than 1e-4.
    """
    config, arrays = _read_or_refuse(model, name, timing)
    encoder = TeacherEncoder(config).eval()
    own = encoder.state_dict()
    encoder.load_state_dict({**own, **{key: torch.from_numpy(value.copy()) for key, value in arrays.items()}})
    _check(encoder, model, name)
    return encoder


def _read_or_refuse(
    model: onnx.ModelProto, name: str, timing: dict[str, Any]
) -> tuple[TeacherEncoderConfig, Arrays]:
    try:
        return _read(gs.import_onnx(model), timing)
    except (Unrecognised, IndexError, AttributeError) as error:
        raise EdgevoiceError(f"{name}: no text encoder that can be pruned ({error})") from None


def _read(graph: gs.Graph, timing: dict[str, Any]) -> tuple[TeacherEncoderConfig, Arrays]:
    hidden = only([t for t in graph.outputs if t.name == "hidden"], "the hidden states").inputs[0]
    before = surgery.ancestors(hidden)
    nodes = [node for node in graph.nodes if id(node) in before]
    head = only(nearest_above(hidden, "Conv"), "the projection to means and deviations")
    softmaxes = [node for node in nodes if node.op == "Softmax"]
    arrays = {"symbols.weight": _symbols(nodes), **convolution("head", head)}
    for number, softmax in enumerate(softmaxes):
        arrays |= _layer(f"layers.{number}", softmax, nodes)
    width = arrays["symbols.weight"].shape[1]
    norms = affine_pairs(nodes, width)
    if not softmaxes or len(norms) != 2 * len(softmaxes):
        raise Unrecognised(f"{len(softmaxes)} attention layers with {len(norms)} norms")
    for place, (gain, shift) in enumerate(norms):
        layer, norm = divmod(place, 2)
        arrays |= {
            f"layers.{layer}.norm_{norm + 1}.weight": gain,
            f"layers.{layer}.norm_{norm + 1}.bias": shift,
        }
    return _config(arrays, len(softmaxes), timing), arrays


def _config(arrays: Arrays, layers: int, timing: dict[str, Any]) -> TeacherEncoderConfig:
    symbols, width = arrays["symbols.weight"].shape
    tables, positions, size = arrays["layers.0.attention.near_key"].shape
    widen = [arrays[f"layers.{number}.widen.weight"] for number in range(layers)]
    return TeacherEncoderConfig(
        symbols=symbols,
        hidden=len(arrays["head.weight"]),
        width=width,
        heads=width // size,
        filters=tuple(len(kernel) for kernel in widen),
        kernel=widen[0].shape[2],
        window=positions // 2,
        tables=tables,
        **timing,
    )


def _symbols(nodes: list[gs.Node]) -> NDArray[np.float32]:
    """The embedding, with its scale worked in."""
    rows = [node for node in nodes if node.op == "Gather" and node.inputs[1].name == "phonemes"]
    row = only(rows, "the table of symbols")
    scaled = surgery.sole_consumer(row.outputs[0], ("Mul",))
    factor = None if scaled is None else scalar(scaled)
    table: NDArray[np.float32] = np.asarray(row.inputs[0].values, np.float32)
    return table if factor is None else table * np.float32(factor)


def _layer(place: str, softmax: gs.Node, nodes: list[gs.Node]) -> Arrays:
    scores = [(product, *map(above, product.inputs)) for product in nearest_above(softmax, "MatMul")]
    mixed = [(product, above(product.inputs[1])) for product in nearest_below(softmax, "MatMul")]
    _, query, key = only([item for item in scores if _is_conv(item[2])], "queries times keys")
    _, _, near_key = only([item for item in scores if _is_table(item[2])], "a table of relative keys")
    product, value = only([item for item in mixed if _is_conv(item[1])], "weights times values")
    _, near_value = only([item for item in mixed if _is_table(item[1])], "a table of relative values")
    after = surgery.descendants(product.outputs[0])
    convolutions = [node for node in nodes if node.op == "Conv" and id(node) in after]
    join, widen, narrow = convolutions[:3]
    return {
        f"{place}.attention.near_key": near_key,
        f"{place}.attention.near_value": near_value,
        **convolution(f"{place}.attention.query", query),
        **convolution(f"{place}.attention.key", key),
        **convolution(f"{place}.attention.value", value),
        **convolution(f"{place}.attention.join", join),
        **convolution(f"{place}.widen", widen),
        **convolution(f"{place}.narrow", narrow),
    }


def _is_conv(found: object) -> bool:
    return isinstance(found, gs.Node) and found.op == "Conv"


def _is_table(found: object) -> bool:
    return isinstance(found, np.ndarray) and found.ndim == 3


@torch.no_grad()
def _check(encoder: TeacherEncoder, model: onnx.ModelProto, name: str) -> None:
    """Texts shorter and longer than the window of relative positions must give what the file gives."""
    run = session(model)
    rng = np.random.default_rng(0)
    for length in (encoder.config.window + 2, 41):
        phonemes = rng.integers(1, encoder.config.symbols, (1, length))
        feeds: Arrays = {"phonemes": phonemes}
        for tensor in run.get_inputs()[1:]:
            axes = [1, int(tensor.shape[1]), length] if tensor.name == "noise" else [1, int(tensor.shape[1])]
            feeds[tensor.name] = np.zeros(axes, np.float32)
        theirs: Tensor = torch.from_numpy(run.run(["hidden"], feeds)[0])
        ours = encoder(torch.from_numpy(phonemes), torch.zeros(1, encoder.config.noise, length))[0]
        if not float((ours - theirs).abs().max()) <= TOLERANCE:
            raise EdgevoiceError(f"{name}: its text encoder does more than can be pruned here")
