"""One sentence's phoneme ids to sound, chunk by chunk, through the three stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.random  # NumPy 2 would load it on first use: in the first sound, where it swallows signals too
import numpy.typing as npt

from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Chunks, Durations, Manifest, Noise
from edgevoice.runtime.chunks import spans, window
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.source import pulses, shaped, source_spectrum
from edgevoice.runtime.spectrum import harmonic_phase, margin, overlap_add

Float = npt.NDArray[np.float32]

LONGEST_PHONEME = 10
"""Seconds at speed 1. A broken encoder's durations would be terabytes of frames."""


@dataclass(frozen=True)
class Stages:
    """A bundle's engines and what the manifest says of them."""

    manifest: Manifest
    encoder: Engine
    acoustic: Engine
    vocoder: Engine

    def speak(
        self,
        ids: npt.NDArray[np.int64],
        rng: np.random.Generator,
        conditions: Mapping[str, Float],
        speed: float = 1.0,
        chunks: Chunks | None = None,
        lead: int | None = None,
    ) -> Iterator[Float]:
        """Sound for ids int64 [T], as f32 arrays in [-1, 1]; every chunk with its exact context.

        ``conditions``: `speaker` f32 [1,S] and `emotion` f32 [1,E], where the voice has them. ``lead``: the
        most frames of the first id, which stands for the silence before the sentence. The same ``rng`` state
        gives the same sound, whatever the chunks.
        """
        hidden, durations = self._encode(ids, rng, conditions)
        frames = expand(durations, speed, self.manifest.durations)
        if lead is not None:
            frames[:1] = np.minimum(frames[:1], lead)
        index = np.repeat(np.arange(hidden.shape[2]), frames)
        latents = _Latents(self, hidden, index, rng, conditions)
        for start, stop in spans(len(index), chunks or self.manifest.chunks):
            yield self._vocode(latents, start, stop, conditions)

    def _encode(
        self, ids: npt.NDArray[np.int64], rng: np.random.Generator, conditions: Mapping[str, Float]
    ) -> tuple[Float, Float]:
        feeds: dict[str, Array] = {"phonemes": ids[None], **conditions}
        noise = self.manifest.stages["encoder"].noise
        if noise is not None:
            feeds["noise"] = _sample(rng, noise, len(ids))[None]
        hidden, durations = self.encoder.run(_taken(self.encoder, feeds))
        frames = LONGEST_PHONEME * self.manifest.voice.sample_rate / self.manifest.voice.hop
        # A NaN fails every comparison.
        if durations.shape[1:] != hidden.shape[2:] or not (durations <= frames).all():
            raise EdgevoiceError(
                "the encoder gives durations that are no numbers, too many, too few or beyond "
                f"{LONGEST_PHONEME} s: compress the voice again"
            )
        return hidden, durations[0]

    def _vocode(self, latents: _Latents, start: int, stop: int, conditions: Mapping[str, Float]) -> Float:
        hop, spectrum = self.manifest.voice.hop, self.manifest.spectrum
        reach = margin(spectrum.n_fft, hop) if spectrum else 0
        place = window(start, stop, ahead(self.manifest), latents.frames)
        made = latents.get(place.left, place.right)
        feeds: dict[str, Array] = {"latents": made.columns[None], **conditions}
        if made.phase is not None:
            feeds["phase"] = made.phase[None]
        (out,) = self.vocoder.run(_taken(self.vocoder, feeds))
        steps = (place.right - place.left) * (hop if spectrum is None else 1)
        if out.shape[-1] != steps or not np.isfinite(out).all():
            raise EdgevoiceError("the vocoder gives a wrong length or broken numbers: compress it again")
        if spectrum is None:
            return np.clip(out[0, place.crop(hop)], -1.0, 1.0)
        heard = window(start, stop, reach, latents.frames)
        left, right = heard.left - place.left, heard.right - place.left
        answer = out[0, :, left:right]
        if made.train is not None:
            answer = shaped(answer, source_spectrum(made.train, left, right, spectrum.n_fft))
        sound = overlap_add(answer, hop)
        return np.clip(sound[heard.crop(hop)], -1.0, 1.0)


def ahead(manifest: Manifest) -> int:
    """Frames on each side of a chunk that the vocoder's part of the work asks for."""
    context, spectrum = manifest.stages["vocoder"].context, manifest.spectrum
    if spectrum is None:
        return context
    reach = margin(spectrum.n_fft, manifest.voice.hop)
    sourced = manifest.phase is not None and manifest.phase.source
    return max(context, reach if sourced else 0) + reach


@dataclass(frozen=True)
class _Made:
    """A window of the latents f32 [M,W] and, where the voice has them, of their phase [2k,W] and of the
    source's pulses [hop,W].
    """

    columns: Float
    phase: Float | None
    train: Float | None


class _Latents:
    """The acoustic stage's output, made as far as it is asked for; what lies behind is dropped."""

    def __init__(
        self,
        stages: Stages,
        hidden: Float,
        index: npt.NDArray[np.int64],
        rng: np.random.Generator,
        conditions: Mapping[str, Float],
    ) -> None:
        self.frames = len(index)
        self._stages, self._hidden, self._index = stages, hidden, index
        self._stage = stages.manifest.stages["acoustic"]
        self._conditions = conditions
        self._noise = _Tape(rng, self._stage.noise) if self._stage.noise else None
        self._kept_from = self._made = 0
        self._columns: Float | None = None
        self._phases: Float | None = None
        self._train: Float | None = None
        self._turns = 0.0

    def get(self, left: int, right: int) -> _Made:
        """The window from frame ``left`` to ``right``."""
        if right > self._made:
            self._make(left, right)
        assert self._columns is not None
        part = slice(left - self._kept_from, right - self._kept_from)
        phase, train = (None if rows is None else rows[:, part] for rows in (self._phases, self._train))
        return _Made(self._columns[:, part], phase, train)

    def _make(self, left: int, right: int) -> None:
        place = window(self._made, right, self._stage.context, self.frames)
        feeds: dict[str, Array] = {
            "frames": self._hidden[:, :, self._index[place.left : place.right]],
            **self._conditions,
        }
        if self._noise is not None:
            feeds["noise"] = self._noise.get(place.left, place.right)[None]
        engine = self._stages.acoustic
        (out,) = engine.run(_taken(engine, feeds))
        fresh = out[0][:, place.crop()]
        drop = left - self._kept_from
        self._columns = _append(self._columns, fresh, drop)
        self._drive(fresh, drop)
        self._kept_from, self._made = left, right

    def _drive(self, fresh: Float, drop: int) -> None:
        """Go on with phase and pulses where the frames before ended."""
        phase, voice = self._stages.manifest.phase, self._stages.manifest.voice
        if phase is None:
            return
        f0, voicing, start = fresh[phase.f0], fresh[phase.voicing], self._turns
        rate = voice.sample_rate / voice.hop
        waves, self._turns = harmonic_phase(f0, voicing, start, phase.harmonics, rate)
        self._phases = _append(self._phases, waves, drop)
        if phase.source:
            train = pulses(f0, voicing, start, voice.hop, voice.sample_rate)
            self._train = _append(self._train, train, drop)


class _Tape:
    """Noise drawn frame after frame, so that chunks of any length see the same numbers."""

    def __init__(self, rng: np.random.Generator, noise: Noise) -> None:
        self._rng, self._noise = rng, noise
        self._from = 0
        self._drawn = np.empty((noise.channels, 0), np.float32)

    def get(self, left: int, right: int) -> Float:
        wanted = right - self._from - self._drawn.shape[1]
        if wanted > 0:
            self._drawn = _append(self._drawn, _sample(self._rng, self._noise, wanted), left - self._from)
            self._from = left
        return self._drawn[:, left - self._from : right - self._from]


def _sample(rng: np.random.Generator, noise: Noise, steps: int) -> Float:
    draws = rng.standard_normal((steps, noise.channels), np.float32)
    return np.asarray(np.ascontiguousarray(draws.T) * noise.scale, np.float32)


def _append(old: Float | None, new: Float, drop: int) -> Float:
    return new if old is None else np.concatenate([old[:, drop:], new], axis=1)


def _taken(engine: Engine, feeds: Mapping[str, Array]) -> dict[str, Array]:
    try:
        return {name: feeds[name] for name in engine.inputs}
    except KeyError as error:
        raise EdgevoiceError(
            f"a stage of this bundle asks for {error.args[0]!r}, which its manifest does not give: "
            "compress the voice again"
        ) from None


def expand(durations: Float, speed: float, rule: Durations) -> npt.NDArray[np.int64]:
    """Durations f32 [T] in frames at speed 1 to whole frames int64 [T], at least ``rule.minimum`` each."""
    scaled = durations / np.float32(speed)
    whole = np.ceil(scaled) if rule.rounding == "ceil" else np.rint(scaled)
    return np.asarray(np.maximum(whole, rule.minimum), np.int64)
