"""The ratio at which a pruned stage is as small, or as fast on this machine, as is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from compress.prune.encoder import TeacherEncoder
from compress.prune.hifigan import HiFiGan
from compress.prune.ratio import thinner_encoder, thinner_hifigan
from compress.prune.read_encoder import read_config
from compress.prune.read_hifigan import read_hifigan_config
from compress.staged import StagedVoice
from compress.students.export import export, signature
from compress.teachers.staged import session
from edgevoice.errors import EdgevoiceError

STAGES = ("encoder", "vocoder")
RUNS = 9
DIVISIONS = 100
"""How finely ratios are tried."""


@dataclass(frozen=True)
class Measured:
    """A stage at one ratio. ``megabytes``: of its FP32 file. ``gmacs``: a second of sound for a vocoder, for
    an encoder a hundred phonemes. ``milliseconds``: CPU time of one run on one thread, the least of several.
    """

    keep: float
    megabytes: float
    gmacs: float
    milliseconds: float


class Pruning:
    """A stage of a voice at any ratio, with weights at random: its sizes and times need no others.

    ``steps``: phonemes, or frames, of the run that is timed.
    """

    def __init__(self, voice: StagedVoice, stage: str, steps: int) -> None:
        if stage not in STAGES:
            raise EdgevoiceError(f"the {stage} cannot be pruned: choose one of {', '.join(STAGES)}")
        self.steps = steps
        self.second = voice.sample_rate / voice.hop if stage == "vocoder" else 100.0
        self._make: Callable[[float], nn.Module]
        if stage == "encoder":
            noise = voice.stages["encoder"].noise
            encoder = read_config(
                voice.stages["encoder"].model, voice.name, noise=noise.channels if noise else 0
            )
            self._make = lambda keep: TeacherEncoder(thinner_encoder(encoder, keep))
        else:
            vocoder = read_hifigan_config(voice.stages["vocoder"].model, voice.name)
            self._make = lambda keep: HiFiGan(thinner_hifigan(vocoder, keep))

    def measure(self, keep: float) -> Measured:
        network = self._make(keep).eval()
        model = export(network)
        inputs, _ = signature(network, self.steps)
        macs = multiplications(network, inputs) * self.second / self.steps
        return Measured(keep, model.ByteSize() / 1e6, macs / 1e9, self._milliseconds(model, inputs))

    def _milliseconds(self, model: onnx.ModelProto, inputs: dict[str, Tensor]) -> float:
        run = session(model)
        feeds = {name: np.asarray(value) for name, value in inputs.items()}
        spent = []
        for _ in range(RUNS):
            before = time.process_time()
            run.run(None, feeds)
            spent.append(time.process_time() - before)
        return 1e3 * min(spent)


@torch.no_grad()
def multiplications(network: nn.Module, inputs: dict[str, Tensor]) -> int:
    """Multiply-accumulates of the layers with weights; those of attention's own products are left out."""
    counts: list[int] = []

    def count(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        if isinstance(layer, nn.ConvTranspose1d):
            counts.append(weight.numel() * given[0].shape[-1])
        elif isinstance(layer, nn.Conv1d):
            counts.append(weight.numel() * made.shape[-1])
        else:
            counts.append(weight.numel() * made[..., 0].numel())

    kinds = (nn.Conv1d, nn.ConvTranspose1d, nn.Linear)
    hooks = [part.register_forward_hook(count) for part in network.modules() if isinstance(part, kinds)]
    network(**inputs)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def largest(measure: Callable[[float], Measured], what: str, limit: float) -> Measured:
    """Of the ratios that are tried, the largest whose ``what`` is at most ``limit``, found by halving.

    Where not even the smallest is, an `EdgevoiceError` says what it has.
    """
    low, high = 1, DIVISIONS
    best = measure(low / DIVISIONS)
    if getattr(best, what) > limit:
        raise EdgevoiceError(
            f"no ratio leaves {limit:g} {what}: the least is {getattr(best, what):.3g}; make a new student"
        )
    whole = measure(1.0)
    if getattr(whole, what) <= limit:
        return whole
    while high - low > 1:
        middle = (low + high) // 2
        found = measure(middle / DIVISIONS)
        if getattr(found, what) <= limit:
            low, best = middle, found
        else:
            high = middle
    return best
