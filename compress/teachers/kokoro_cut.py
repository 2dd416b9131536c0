"""Where a Kokoro graph comes apart, found by structure, so that a user's own export is cut too.

What marks the cuts: the only `Round` (durations); the products that spread phonemes over frames, whose
second factor depends on it; the frame curves F0 and energy, which enter the decoder beside the spread text
features; and the first dense transposed convolution, where the generator begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import onnx

from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Taps:
    """Names of the tensors between the stages."""

    durations: str
    prosody: str
    text: str
    f0: str
    energy: str
    latents: str


def taken(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, the branches of a condition included, which see the tensors around them."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from taken(inner)


class Cut:
    """Finds the stages in a Kokoro graph."""

    def __init__(self, model: onnx.ModelProto, where: str = "the file") -> None:
        self.model, self.where = model, where
        self.nodes = list(model.graph.node)
        self.made_by = {output: node for node in self.nodes for output in node.output}

    @cached_property
    def taps(self) -> Taps:
        rounding = self._only([n for n in self.nodes if n.op_type == "Round"], "Round")
        timed = self._descendants(rounding.output)
        spread = [n for n in self.nodes if n.op_type in ("MatMul", "FusedMatMul") and self._spreads(n, timed)]
        if len(spread) != 2:
            raise self._refusal(f"spreads phonemes over frames {len(spread)} times where Kokoro does twice")
        prosody, text = sorted(spread, key=lambda n: self._reaches_decoder(n.output[0]))
        f0, energy = self._curves(text.output[0])
        return Taps(rounding.input[0], prosody.input[0], text.input[0], f0, energy, self._generator_input())

    def _spreads(self, node: onnx.NodeProto, timed: set[str]) -> bool:
        return node.input[1] in timed and node.input[0] not in timed

    def _reaches_decoder(self, tensor: str) -> bool:
        """Whether the tensor is joined with others, as the decoder does with the text features."""
        return any(n.op_type == "Concat" and tensor in n.input for n in self.nodes)

    def _curves(self, text: str) -> tuple[str, str]:
        """F0 and energy: what the decoder joins to the text features; F0 is the one that is also resized."""
        joints = [n for n in self.nodes if n.op_type == "Concat" and text in n.input]
        if not joints:
            raise self._refusal("joins nothing to the text features")
        curves = [self._climb(name, "Unsqueeze") for name in joints[0].input if name != text]
        resized = {n.input[0] for n in self.nodes if n.op_type == "Resize"}
        f0 = [n for n in curves if n.output[0] in resized]
        energy = [n for n in curves if n.output[0] not in resized]
        if len(f0) != 1 or len(energy) != 1:
            raise self._refusal("does not join one F0 and one energy curve to the text features")
        return f0[0].input[0], energy[0].input[0]

    def _climb(self, name: str, op: str) -> onnx.NodeProto:
        while name in self.made_by:
            node: onnx.NodeProto = self.made_by[name]
            if node.op_type == op:
                return node
            name = node.input[0]
        raise self._refusal(f"has no {op} above {name}")

    def _generator_input(self) -> str:
        for node in self.nodes:
            groups = [a.i for a in node.attribute if a.name == "group"]
            if node.op_type == "ConvTranspose" and groups in ([], [1]):
                return str(self.made_by[node.input[0]].input[0])
        raise self._refusal("has no dense transposed convolution")

    def _descendants(self, names: Iterable[str]) -> set[str]:
        found = set(names)
        for node in self.nodes:
            if found.intersection(node.input):
                found.update(node.output)
        return found

    def _only(self, found: list[onnx.NodeProto], op: str) -> onnx.NodeProto:
        if len(found) != 1:
            raise self._refusal(f"has {len(found)} {op} nodes where Kokoro has one")
        return found[0]

    def _refusal(self, why: str) -> EdgevoiceError:
        return EdgevoiceError(f"{self.where} cannot be cut into Kokoro's stages: its graph {why}")

    def with_taps(self) -> onnx.ModelProto:
        """The whole graph that also answers with the tensors between its stages."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for name in vars(self.taps).values():
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        return model

    def without_generator(self) -> onnx.ModelProto:
        """The graph that answers with the tensors between its stages alone, and makes no sound."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        taps = list(vars(self.taps).values())
        needed = self._ancestors(taps)
        del model.graph.output[:], model.graph.node[:]
        model.graph.node.extend(node for node in self.nodes if needed.intersection(node.output))
        model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in taps)
        return model

    def _ancestors(self, names: Iterable[str]) -> set[str]:
        """These tensors and all that they are made of."""
        found, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name and name not in found:
                found.add(name)
                waiting.extend(taken(self.made_by[name]) if name in self.made_by else ())
        return found
