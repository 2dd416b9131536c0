"""What a channel is worth, from gradients over calibration data; taking out those that are worth least."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from compress.prune.ratio import kept


class Fisher(tp.importance.Importance):  # type: ignore[misc]  # the library has no types
    """A channel's worth: how much the loss would move, to first order, if the channel fell silent.

    Squared and then averaged over samples, for at the teacher's own weights the gradients cancel out. Layers
    that share a channel through sums fall silent together, so their effects are summed before the square.
    """

    @torch.enable_grad()
    def __init__(self, network: nn.Module, losses: Iterable[Tensor]) -> None:
        """``losses``: one for each calibration sample, its graph still there."""
        found: dict[nn.Module, list[Tensor]] = {}
        for loss in losses:
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for layer in network.modules():
                if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
                    found.setdefault(layer, []).append(_effect(layer))
        network.zero_grad()
        self.effects = {layer: torch.stack(effects) for layer, effects in found.items()}

    def __call__(self, group: Any) -> Tensor:
        """Worth [channels] of what a dependency group takes out together."""
        layers = {
            dependency.target.module
            for dependency, _ in group
            if dependency.handler.__name__ == "prune_out_channels"
        }
        effects: Tensor = sum(effect for layer, effect in self.effects.items() if layer in layers)  # type: ignore[assignment]
        return effects.square().mean(0)


def _effect(layer: nn.Conv1d | nn.ConvTranspose1d) -> Tensor:
    """Weights times gradients, summed over each output channel."""
    weight, shift = layer.weight.detach(), layer.bias
    slope = torch.zeros_like(weight) if layer.weight.grad is None else layer.weight.grad
    effect = (weight * slope).sum((0, 2) if isinstance(layer, nn.ConvTranspose1d) else (1, 2))
    if shift is not None and shift.grad is not None:
        effect += shift.detach() * shift.grad
    return effect


@torch.enable_grad()  # the library follows gradients
def thin(
    network: nn.Module, example: dict[str, Tensor], layers: Sequence[nn.Module], keep: float, worth: Fisher
) -> None:
    """Take out, in place, the least of the output channels of ``layers`` and all that hangs on them.

    How channels hang together is found by running the network on the ``example`` inputs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parameters outside layers, none of which is pruned
        graph = tp.DependencyGraph().build_dependency(network, example, forward_fn=lambda n, x: n(**x))
    for layer in layers:
        channels = graph.get_out_channels(layer)
        group = graph.get_pruning_group(layer, tp.prune_conv_out_channels, list(range(channels)))
        gone = channels - kept(channels, keep)
        least = worth(group).argsort(stable=True)[:gone].sort().values
        if gone:
            group.prune(least.tolist())
