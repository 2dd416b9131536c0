"""A voice's HiFi-GAN out of its stage file into torch, and checked against it.

What is looked for: transposed convolutions one after the other; between them branches that start at the same
sound, each a chain of residuals of one or two convolutions; leaky ReLUs before all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import torch
from numpy.typing import NDArray

from compress import surgery
from compress.prune.hifigan import HiFiGan, HiFiGanConfig
from compress.prune.walk import Arrays, Unrecognised, bias, convolution, nearest_above, only, weight
from compress.teachers.staged import session
from edgevoice.errors import EdgevoiceError

TOLERANCE = 1e-4
Residual = tuple[gs.Node, "gs.Node | None"]


def read_hifigan_config(model: onnx.ModelProto, name: str) -> HiFiGanConfig:
    """The vocoder's sizes alone; see `read_hifigan`."""
    return _parts(model, name).config()


def read_hifigan(model: onnx.ModelProto, name: str) -> HiFiGan:
    """The vocoder of voice ``name`` with its own weights.

    Raises `EdgevoiceError` where the graph is no HiFi-GAN, or the copy differs from it by more than 1e-4.
    """
    parts = _parts(model, name)
    vocoder = HiFiGan(parts.config()).eval()
    arrays = parts.arrays()
    try:
        vocoder.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in arrays.items()})
    except RuntimeError:
        raise EdgevoiceError(f"{name}: its vocoder's branches differ too much to be pruned") from None
    _check(vocoder, model, name)
    return vocoder


@dataclass(frozen=True)
class Parts:
    """The nodes of a HiFi-GAN. ``stages``: for each upsampling its branches, each a chain of residuals."""

    first: gs.Node
    speaker: gs.Node | None
    ups: list[gs.Node]
    stages: list[list[list[Residual]]]
    last: gs.Node

    def config(self) -> HiFiGanConfig:
        branches = self.stages[0]
        every = [residual for stage in self.stages for branch in stage for residual in branch]
        return HiFiGanConfig(
            latents=weight(self.first).shape[1],
            channels=(len(weight(self.first)), *(weight(up).shape[1] for up in self.ups)),
            rates=tuple(up.attrs["strides"][0] for up in self.ups),
            kernels=tuple(weight(up).shape[2] for up in self.ups),
            branch_kernels=tuple(weight(branch[0][0]).shape[2] for branch in branches),
            dilations=tuple(dilated.attrs["dilations"][0] for branch in branches for dilated, _ in branch),
            inner=tuple(len(weight(dilated)) for dilated, plain in every if plain is not None),
            input_kernel=weight(self.first).shape[2],
            output_kernel=weight(self.last).shape[2],
            output_bias=bias(self.last) is not None,
            slope=_slope(self.ups[0]),
            last_slope=_slope(self.last),
            speaker=0 if self.speaker is None else weight(self.speaker).shape[1],
        )

    def arrays(self) -> Arrays:
        found = {**convolution("input", self.first), "output.weight": weight(self.last)}
        if (shift := bias(self.last)) is not None:
            found["output.bias"] = shift
        if self.speaker is not None:
            found |= convolution("speaker", self.speaker)
        for number, (up, branches) in enumerate(zip(self.ups, self.stages, strict=True)):
            found |= convolution(f"ups.{number}", up)
            for branch, chain in enumerate(branches):
                for place, (dilated, plain) in enumerate(chain):
                    where = f"stages.{number}.{branch}.{place}"
                    found |= convolution(f"{where}.dilated", dilated)
                    found |= {} if plain is None else convolution(f"{where}.plain", plain)
        return found


def _parts(model: onnx.ModelProto, name: str) -> Parts:
    try:
        return _read(gs.import_onnx(model))
    except (Unrecognised, IndexError, KeyError, AttributeError) as error:
        raise EdgevoiceError(f"{name}: no HiFi-GAN that can be pruned ({error})") from None


def _read(graph: gs.Graph) -> Parts:
    inputs = {tensor.name: tensor for tensor in graph.inputs}
    first = only([node for node in inputs["latents"].outputs if node.op == "Conv"], "the first convolution")
    last = only(nearest_above(graph.outputs[0].inputs[0], "Conv"), "the last convolution")
    ups = [node for node in graph.nodes if node.op == "ConvTranspose"]
    after = surgery.descendants(inputs["latents"])
    beside = [node for node in graph.nodes if node.op == "Conv" and id(node) not in after]
    speaker = only(beside, "the speaker's convolution") if "speaker" in inputs else None
    stages = [[_chain(start, last) for start in _fed(up, last)] for up in ups]
    if not ups or not all(stages):
        raise Unrecognised(f"{len(ups)} transposed convolutions, {sum(map(len, stages))} branches")
    return Parts(first, speaker, ups, stages, last)


def _fed(node: gs.Node, last: gs.Node) -> list[gs.Node]:
    """The convolutions but the ``last`` that take what ``node`` made, through a leaky ReLU."""
    softened = [user for user in node.outputs[0].outputs if user.op == "LeakyRelu"]
    users = [user for soft in softened for user in soft.outputs[0].outputs]
    return [user for user in users if user.op == "Conv" and user is not last]


def _chain(dilated: gs.Node, last: gs.Node) -> list[Residual]:
    """A branch's residuals from its first convolution on."""
    chain: list[Residual] = []
    while True:
        inside = _fed(dilated, last)
        plain = only(inside, "the second convolution of a residual") if inside else None
        chain.append((dilated, plain))
        total = surgery.sole_consumer((plain or dilated).outputs[0], ("Add",))
        following = [] if total is None else _fed(total, last)
        if not following:
            return chain
        dilated = only(following, "the next residual")


def _slope(node: gs.Node) -> float:
    made = surgery.producer(node.inputs[0], "LeakyRelu")
    return round(float(made.attrs.get("alpha", 0.01)), 6)


@torch.no_grad()
def _check(vocoder: HiFiGan, model: onnx.ModelProto, name: str) -> None:
    run, rng = session(model), np.random.default_rng(0)
    for frames in (3, 17):
        feeds: dict[str, NDArray[Any]] = {
            "latents": rng.standard_normal((1, vocoder.config.latents, frames), dtype=np.float32)
        }
        if vocoder.config.speaker:
            feeds["speaker"] = rng.standard_normal((1, vocoder.config.speaker), dtype=np.float32)
        theirs = torch.from_numpy(run.run(None, feeds)[0])
        ours = vocoder(**{key: torch.from_numpy(value) for key, value in feeds.items()})
        if ours.shape != theirs.shape or not float((ours - theirs).abs().max()) <= TOLERANCE:
            raise EdgevoiceError(f"{name}: its vocoder does more than can be pruned here")
