"""New nodes for a graph, written one a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray


class Lines:
    """Adds a node to ``graph`` with each call: ``lines(op, inputs) -> output``. Numbers become constants."""

    def __init__(self, graph: gs.Graph, prefix: str) -> None:
        self._graph, self._prefix, self._count = graph, prefix, 0

    def __call__(self, op: str, *inputs: gs.Tensor | NDArray[Any] | np.generic, **attrs: Any) -> gs.Variable:
        name = self._name(op)
        out = gs.Variable(f"{name}_output")
        tensors = [value if isinstance(value, gs.Tensor) else self._constant(value) for value in inputs]
        self._graph.nodes.append(gs.Node(op, name, attrs, tensors, [out]))
        return out

    def split(self, tensor: gs.Tensor, sizes: list[int]) -> list[gs.Variable]:
        """The pieces of ``tensor`` along its last axis."""
        pieces = [self("Split", tensor, np.array(sizes, np.int64), axis=-1)]
        node = pieces[0].inputs[0]
        pieces += [gs.Variable(f"{node.name}_output_{number}") for number in range(1, len(sizes))]
        node.outputs += pieces[1:]
        return pieces

    def _constant(self, value: NDArray[Any] | np.generic) -> gs.Constant:
        return gs.Constant(self._name("constant"), np.asarray(value))

    def _name(self, what: str) -> str:
        self._count += 1
        return f"{self._prefix}_{what}_{self._count}"
