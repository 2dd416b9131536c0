from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import (
    STAGES,
    Chunks,
    Durations,
    Licence,
    Manifest,
    Noise,
    Phase,
    Provenance,
    Spectrum,
    Stage,
    StageName,
    Text,
    Variant,
    Voice,
)
from edgevoice.runtime.engines import Array
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.synthesis import Stages, expand

Float = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

WHOLE = Chunks(1 << 20, 1 << 20)
IDS = np.array([1, 0, 20, 0, 59, 0, 24, 0, 120, 0, 27, 0, 100, 0, 3, 0, 35, 0, 62, 0, 122, 0, 2], np.int64)


@dataclass
class Speaker:
    """Stages, what they are conditioned on, and an utterance."""

    stages: Stages
    conditions: dict[str, Float]
    ids: Ids

    def pieces(self, first: int, long: int, seed: int = 0, **options: Any) -> Iterator[Float]:
        rng = np.random.default_rng(seed)
        return self.stages.speak(self.ids, rng, self.conditions, chunks=Chunks(first, long), **options)

    def say(self, first: int = WHOLE.first, long: int = WHOLE.long, seed: int = 0, **options: Any) -> Float:
        return np.concatenate(list(self.pieces(first, long, seed, **options)))

    def with_context(self, stage: StageName, change: int) -> Speaker:
        manifest = self.stages.manifest
        row = manifest.stages[stage]
        row = msgspec.structs.replace(row, context=row.context + change)
        changed = msgspec.structs.replace(manifest, stages={**manifest.stages, stage: row})
        return replace(self, stages=replace(self.stages, manifest=changed))


def load(folder: Path) -> Speaker:
    found = bundle.read(folder)
    engines = {stage: OnnxEngine(found.file(found.variant(stage).file), 1) for stage in STAGES}
    speakers = found.manifest.voice.speakers
    conditions = {"speaker": np.load(found.file(speakers.file))[:1]} if speakers else {}
    return Speaker(Stages(found.manifest, **engines), conditions, np.resize(IDS, 60))


@pytest.fixture(scope="module")
def single(tiny_bundle: Path) -> Speaker:
    return load(tiny_bundle)


@pytest.fixture(scope="module")
def several(tiny_multispeaker_bundle: Path) -> Speaker:
    return load(tiny_multispeaker_bundle)


@settings(max_examples=12)
@given(st.integers(1, 40), st.integers(1, 80))
def test_chunks_of_any_length_equal_the_whole(single: Speaker, first: int, long: int) -> None:
    np.testing.assert_allclose(single.say(first, long), single.say(), atol=1e-4)


@pytest.mark.parametrize(("first", "long"), [(1, 1), (3, 50), (16, 128)])
def test_chunks_with_speakers_and_a_wider_vocoder_equal_the_whole(
    several: Speaker, first: int, long: int
) -> None:
    np.testing.assert_allclose(several.say(first, long), several.say(), atol=1e-4)


def test_a_vocoder_with_too_little_context_is_heard(single: Speaker) -> None:
    """So the tests above can fail. A random vocoder's outermost taps are weak: hence not one frame less."""
    less = single.with_context("vocoder", -3)
    assert np.abs(less.say(8, 32) - less.say()).max() > 1e-3


def test_only_the_first_chunk_s_frames_are_made_for_the_first_sound(single: Speaker) -> None:
    frames: list[int] = []
    counted = replace(single, stages=_counted(single.stages, frames))
    piece = next(counted.pieces(8, 32))
    context = {name: row.context for name, row in single.stages.manifest.stages.items()}
    assert len(piece) == 8 * 256
    assert frames == [8 + context["vocoder"] + context["acoustic"], 8 + context["vocoder"]]


def _counted(stages: Stages, frames: list[int]) -> Stages:
    class Counted:
        def __init__(self, engine: Any) -> None:
            self.inputs, self._engine = engine.inputs, engine

        def run(self, feeds: Mapping[str, Array]) -> list[Float]:
            frames.append(feeds[self.inputs[0]].shape[-1])
            result: list[Float] = self._engine.run(feeds)
            return result

    return replace(stages, acoustic=Counted(stages.acoustic), vocoder=Counted(stages.vocoder))


def test_the_seed_decides_the_sound_whatever_the_chunks(single: Speaker) -> None:
    np.testing.assert_array_equal(single.say(8, 32, seed=3), single.say(8, 32, seed=3))
    np.testing.assert_allclose(single.say(5, 9, seed=3), single.say(seed=3), atol=1e-4)
    first, second = single.say(seed=3)[:2048], single.say(seed=4)[:2048]
    assert not np.allclose(first, second, atol=1e-3)


def test_speed_divides_the_length(single: Speaker) -> None:
    plain, fast, slow = (len(single.say(speed=speed)) for speed in (1.0, 2.0, 0.5))
    assert fast < 0.75 * plain
    assert slow > 1.5 * plain


def test_speakers_sound_different(several: Speaker, tiny_multispeaker_bundle: Path) -> None:
    rows = np.load(tiny_multispeaker_bundle / "speakers.npy")
    other = replace(several, conditions={"speaker": rows[1:2]})
    assert not np.allclose(several.say()[:2048], other.say()[:2048], atol=1e-2)


def test_two_utterances_at_once_do_not_mix(single: Speaker) -> None:
    ids = np.roll(single.ids, 7)
    other = replace(single, ids=ids)
    wanted = [single.say(5, 9, seed=1), other.say(5, 9, seed=2)]
    # In turn on one thread, so that each step of one falls between two of the other ...
    pieces = list(zip_longest(single.pieces(5, 9, seed=1), other.pieces(5, 9, seed=2)))
    for column, want in zip(zip(*pieces, strict=True), wanted, strict=True):
        np.testing.assert_array_equal(np.concatenate([piece for piece in column if piece is not None]), want)
    # ... and on threads.
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(voice.say, 5, 9, seed) for _ in range(3) for voice, seed in ((single, 1), (other, 2))
        ]
    for number, job in enumerate(jobs):
        np.testing.assert_array_equal(job.result(), wanted[number % 2])


# Stages made by hand, so that what passes between them is seen and every form of vocoder is met.

HOP, N_FFT, CHANNELS = 4, 16, 3


@dataclass
class Fake:
    """An engine that is a function of its inputs; ``seen`` is what it was given."""

    inputs: tuple[str, ...]
    function: Callable[..., list[Float]]
    seen: list[Mapping[str, Array]] = field(default_factory=list)

    def run(self, feeds: Mapping[str, Array]) -> list[Float]:
        assert set(feeds) == set(self.inputs)
        self.seen.append(feeds)
        return self.function(**feeds)


def around(rows: Float, context: int) -> Float:
    """Each column summed with those up to ``context`` away; beyond the ends nothing."""
    padded = np.pad(rows, ((0, 0), (0, 0), (context, context)))
    width = rows.shape[2]
    pieces = [padded[:, :, shift : shift + width] for shift in range(2 * context + 1)]
    return np.asarray(np.sum(pieces, axis=0), np.float32)


def encode(phonemes: Ids, noise: Float) -> list[Float]:
    hidden = np.stack([phonemes[0], phonemes[0] ** 2, noise[0, 0]])[None].astype(np.float32)
    return [hidden, np.float32(1.5) + np.abs(noise[:, 0])]


def act(frames: Float, noise: Float) -> list[Float]:
    return [around(frames + noise, 3)]


def wave(latents: Float) -> list[Float]:
    return [np.repeat(around(latents, 2).sum(1), HOP, axis=1) / np.float32(1000)]


def spectrum(latents: Float, phase: Float) -> list[Float]:
    rows = np.tile(around(np.concatenate([latents, phase], axis=1), 2), (1, 6, 1))[:, : N_FFT + 2]
    return [rows / np.float32(100)]


def source(latents: Float, phase: Float) -> list[Float]:
    """Gains and what is added, from the latents themselves and no frame around."""
    rows = np.tile(np.concatenate([latents, phase], axis=1), (1, 8, 1))[:, : 2 * (N_FFT + 2)]
    return [rows / np.float32(100)]


def fakes(vocoder: str = "wave") -> Speaker:
    reach = 0 if vocoder == "source" else 2
    contexts: dict[StageName, int] = {"encoder": 0, "acoustic": 3, "vocoder": reach}
    noises = {"encoder": Noise(1, 0.5), "acoustic": Noise(CHANNELS, 0.25), "vocoder": None}
    stages = {
        name: Stage([Variant("f", "fp32")], "f", "", context=context, noise=noises[name])
        for name, context in contexts.items()
    }
    manifest = Manifest(
        1,
        Voice("fake", "en-us", 80 * HOP, HOP, Licence("")),
        Text("en-us", []),
        Durations("ceil"),
        Chunks(2, 8),
        stages,
        {},
        Provenance("", "", "", "", "", {}),
        spectrum=None if vocoder == "wave" else Spectrum(N_FFT),
        phase=None if vocoder == "wave" else Phase(1, f0=0, voicing=1, source=vocoder == "source"),
    )
    heads = {
        "wave": Fake(("latents",), wave),
        "spectrum": Fake(("latents", "phase"), spectrum),
        "source": Fake(("latents", "phase"), source),
    }
    engines = {"encoder": Fake(("phonemes", "noise"), encode), "acoustic": Fake(("frames", "noise"), act)}
    ids = np.random.default_rng(5).integers(1, 9, 60)
    return Speaker(Stages(manifest, **engines, vocoder=heads[vocoder]), {}, ids)


@settings(max_examples=40)
@given(st.integers(1, 20), st.integers(1, 40), st.sampled_from(["wave", "spectrum", "source"]))
def test_every_form_of_vocoder_equals_its_whole_run(first: int, long: int, vocoder: str) -> None:
    speaker = fakes(vocoder)
    whole = speaker.say()
    assert 0.01 < np.abs(whole).mean() < 1
    np.testing.assert_allclose(speaker.say(first, long), whole, atol=1e-4)


@pytest.mark.parametrize("vocoder", ["wave", "spectrum"])
@pytest.mark.parametrize("stage", ["acoustic", "vocoder"])
def test_one_frame_less_of_context_is_heard(vocoder: str, stage: StageName) -> None:
    speaker = fakes(vocoder)
    assert np.abs(speaker.with_context(stage, -1).say(2, 8) - speaker.say()).max() > 1e-3
    np.testing.assert_allclose(speaker.with_context(stage, 1).say(2, 8), speaker.say(), atol=1e-4)


def test_a_source_is_heard_only_where_its_gains_are() -> None:
    speaker = fakes("source")
    sourced, heard = speaker.say(), fakes("source")
    plain = Fake(("latents", "phase"), lambda latents, phase: [source(latents, phase)[0][:, N_FFT + 2 :]])
    manifest = msgspec.structs.replace(heard.stages.manifest, phase=Phase(1, f0=0, voicing=1))
    silent = replace(heard, stages=replace(heard.stages, manifest=manifest, vocoder=plain)).say()
    assert np.abs(sourced - silent).max() > 1e-2


def test_no_engine_is_given_more_than_a_long_chunk_and_its_context() -> None:
    """What memory depends on: neither the text nor the chunks before."""
    speaker = fakes()
    speaker.ids = np.resize(speaker.ids, 1000)
    for _ in speaker.pieces(2, 8):
        pass
    stages = speaker.stages
    assert max(feeds["frames"].shape[2] for feeds in stages.acoustic.seen) <= 8 + 2 * (2 + 3)  # type: ignore[attr-defined]
    assert max(feeds["latents"].shape[2] for feeds in stages.vocoder.seen) == 8 + 2 * 2  # type: ignore[attr-defined]


def test_noise_of_a_stage_has_its_own_scale_and_frames_see_it_once() -> None:
    speaker = fakes()
    speaker.ids = np.resize(speaker.ids, 2000)
    speaker.say(2, 8)
    (durations_noise,) = (feeds["noise"] for feeds in speaker.stages.encoder.seen)  # type: ignore[attr-defined]
    chunked = [feeds["noise"] for feeds in speaker.stages.acoustic.seen]  # type: ignore[attr-defined]
    again = fakes()
    again.ids = speaker.ids
    again.say()
    (whole,) = (feeds["noise"] for feeds in again.stages.acoustic.seen)  # type: ignore[attr-defined]
    assert durations_noise.std() == pytest.approx(0.5, rel=0.05)
    assert whole.std() == pytest.approx(0.25, rel=0.05)
    assert len(np.unique(whole)) > 0.99 * whole.size
    covered = 0
    for piece in chunked:
        (at,) = np.flatnonzero(whole[0, 0] == piece[0, 0, 0])
        np.testing.assert_array_equal(piece, whole[:, :, at : at + piece.shape[2]])
        assert at <= covered
        covered = at + piece.shape[2]
    assert covered == whole.shape[2]


def test_sound_beyond_full_scale_is_clipped() -> None:
    speaker = fakes()
    loud = Fake(("latents",), lambda latents: [1000 * wave(latents)[0]])
    sound = replace(speaker, stages=replace(speaker.stages, vocoder=loud)).say(2, 8)
    assert sound.max() == 1.0
    assert sound.min() >= -1.0


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e30, 801.0])
def test_durations_that_no_memory_would_hold_are_refused(broken: float) -> None:
    def mistaken(phonemes: Ids, noise: Float) -> list[Float]:
        hidden, durations = encode(phonemes, noise)
        durations[0, 7] = broken
        return [hidden, durations]

    speaker = fakes()
    stages = replace(speaker.stages, encoder=Fake(("phonemes", "noise"), mistaken))
    with pytest.raises(EdgevoiceError, match=r"the encoder gives durations .* compress the voice again"):
        replace(speaker, stages=stages).say(2, 8)


def test_a_duration_too_few_is_refused_and_one_of_ten_seconds_spoken() -> None:
    def encoder(change: Callable[[Float], Float]) -> Speaker:
        speaker = fakes()

        def changed(phonemes: Ids, noise: Float) -> list[Float]:
            hidden, durations = encode(phonemes, noise)
            return [hidden, change(durations)]

        stages = replace(speaker.stages, encoder=Fake(("phonemes", "noise"), changed))
        return replace(speaker, stages=stages)

    with pytest.raises(EdgevoiceError, match="the encoder gives durations"):
        encoder(lambda durations: durations[:, :-1]).say(2, 8)
    assert len(encoder(lambda durations: np.full_like(durations, 800)).say(64, 64)) == 60 * 800 * HOP


@pytest.mark.parametrize(
    ("rule", "speed", "wanted"),
    [
        (Durations("ceil"), 1.0, [1, 1, 2, 3, 1]),
        (Durations("ceil", minimum=0), 1.0, [1, 1, 2, 3, 0]),
        (Durations("nearest"), 1.0, [1, 1, 1, 2, 1]),
        (Durations("nearest", minimum=0), 1.0, [0, 1, 1, 2, 0]),
        (Durations("ceil"), 0.5, [1, 2, 3, 5, 1]),
        (Durations("ceil"), 2.0, [1, 1, 1, 2, 1]),
    ],
)
def test_durations_are_rounded_after_the_speed(rule: Durations, speed: float, wanted: list[int]) -> None:
    durations = np.array([0.3, 1.0, 1.4, 2.1, 0.0], np.float32)
    frames = expand(durations, speed, rule)
    assert frames.tolist() == wanted
    assert frames.dtype == np.int64
