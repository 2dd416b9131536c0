"""A voice made of the tiny bundle, through the text front end, to sound."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from edgevoice import Voice, bundle, text
from edgevoice.deploy.layout import Folder
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.manifest import Chunks, Manifest
from edgevoice.runtime import find as finding
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.find import find
from edgevoice.runtime.voice import LONGEST_IDS, SENTENCE_LIMIT

Float = npt.NDArray[np.float32]
Rewrite = Callable[..., Path]

WHOLE = Chunks(1 << 20, 1 << 20)


@pytest.fixture(scope="module")
def spoken_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, spoken by the phonemizer that every install has."""
    return rewritten(tiny_bundle, tmp_path_factory.mktemp("single") / "bundle", lexicon)


@pytest.fixture(scope="module")
def voice(spoken_bundle: Path) -> Voice:
    return Voice.load(spoken_bundle, threads=1)


@pytest.fixture(scope="module")
def trio(tiny_multispeaker_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """Three speakers, "speaker_0" to "speaker_2"."""
    return Voice.load(
        rewritten(tiny_multispeaker_bundle, tmp_path_factory.mktemp("trio") / "bundle", lexicon), 1
    )


def lexicon(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(
        manifest, text=msgspec.structs.replace(manifest.text, phonemizers=["lexicon"])
    )


def rewritten(source: Path, target: Path, change: Callable[[Manifest], Manifest], **files: Path) -> Path:
    """A copy of a bundle with another manifest, and with ``files`` (stem=path) in place of its own."""
    made = bundle.read(source)
    sources = {name: files.get(name.split(".")[0], made.file(name)) for name in made.manifest.files}
    return bundle.write(target, change(made.manifest), sources).path


def say(voice: Voice, words: str, **options: Any) -> Float:
    return np.concatenate(list(voice.stream(words, **options)))


def test_sound_is_one_dimensional_float32_in_range(voice: Voice) -> None:
    chunks = list(voice.stream("Good morning. How are you?"))
    assert len(chunks) > 4
    assert voice.sample_rate == 22050
    for chunk in chunks:
        assert chunk.ndim == 1
        assert chunk.dtype == np.float32
        assert np.abs(chunk).max() <= 1
    assert np.concatenate(chunks).std() > 0.02


def test_chunked_equals_whole_through_the_whole_voice(voice: Voice) -> None:
    words = "Good morning. How are you today, my friend?"
    np.testing.assert_allclose(say(voice, words), say(voice, words, chunks=WHOLE), atol=1e-4)


def test_the_seed_gives_the_same_sound_again(voice: Voice) -> None:
    first = say(voice, "Hello there.", seed=7)
    np.testing.assert_array_equal(first, say(voice, "Hello there.", seed=7))
    other = say(voice, "Hello there.", seed=8)
    assert first.shape != other.shape or not np.allclose(first, other, atol=1e-3)


def test_sentences_of_one_text_do_not_share_their_noise(voice: Voice) -> None:
    first, _, second = split(list(voice.stream("Hello there. Hello there.", chunks=WHOLE)))
    assert first.shape != second.shape or not np.allclose(first, second, atol=1e-3)


def split(chunks: list[Float]) -> list[Float]:
    assert len(chunks) == 3
    return chunks


@pytest.mark.parametrize("pause", [0.5, 0.0, 0.1])
def test_the_pause_lies_between_sentences_and_not_at_the_ends(voice: Voice, pause: float) -> None:
    chunks = list(voice.stream("One. Two. Three.", pause=pause, chunks=WHOLE))
    silent = [len(chunk) for chunk in chunks if not chunk.any()]
    assert silent == [round(pause * 22050)] * 2 * bool(pause)
    assert chunks[0].any()
    assert chunks[-1].any()


def test_speed_shortens_speech_and_not_the_pause(voice: Voice) -> None:
    plain, fast = (list(voice.stream("One two. Three.", speed=s, chunks=WHOLE)) for s in (1.0, 2.0))
    assert [len(chunks) for chunks in (plain, fast)] == [3, 3]
    assert len(plain[1]) == len(fast[1])
    assert len(fast[0]) < 0.8 * len(plain[0])


def test_speakers_by_name_and_number(trio: Voice) -> None:
    assert trio.speakers == ["speaker_0", "speaker_1", "speaker_2"]
    by_name = [say(trio, "Hello.", speaker=name) for name in trio.speakers]
    for number, sound in enumerate(by_name):
        np.testing.assert_array_equal(say(trio, "Hello.", speaker=number), sound)
        np.testing.assert_array_equal(say(trio, "Hello.", speaker=str(number)), sound)
    np.testing.assert_array_equal(say(trio, "Hello."), by_name[0])
    heads = [sound[:2048] for sound in by_name]
    assert not np.allclose(heads[0], heads[1], atol=1e-2)
    assert not np.allclose(heads[1], heads[2], atol=1e-2)


def test_a_mixture_is_the_weighted_mean_of_the_speakers_rows(trio: Voice) -> None:
    alone = say(trio, "Hello.", speaker="speaker_1")
    np.testing.assert_array_equal(say(trio, "Hello.", speaker={"speaker_1": 3.0}), alone)
    np.testing.assert_array_equal(say(trio, "Hello.", speaker={"speaker_1": 2.0, "speaker_2": 0.0}), alone)
    rows = np.load(trio.bundle.file("speakers.npy"))
    mixed = say(trio, "Hello.", speaker={"speaker_0": 1.0, "speaker_2": 3.0})
    rng = np.random.default_rng([0, 0])
    (first, *_) = trio._sentences("Hello.", lambda _: None)
    wanted = np.concatenate(
        list(
            trio.stages.speak(first, rng, {"speaker": (0.25 * rows[:1] + 0.75 * rows[2:]).astype(np.float32)})
        )
    )
    np.testing.assert_allclose(mixed, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": 0.0}, "speed 0.0 is not possible"),
        ({"speed": -1.0}, "speed -1.0"),
        ({"speed": float("nan")}, "speed nan"),
        ({"speed": float("inf")}, "speed inf"),
        ({"speed": 1e-9}, "speed 1e-09"),
        ({"pause": -0.1}, "pause -0.1"),
        ({"pause": float("nan")}, "pause nan"),
        ({"pause": 1e9}, "pause 1000000000.0"),
        ({"seed": -1}, "seed -1"),
        ({"speaker": "anna"}, "this voice has one speaker"),
        ({"speaker": 1}, "this voice has one speaker"),
    ],
)
def test_options_without_sense_are_refused_before_any_sound(
    voice: Voice, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(EdgevoiceError, match=message):
        voice.stream("Hello.", **options)  # the call itself, not the first chunk


@pytest.mark.parametrize(
    "speaker",
    [
        *("nobody", "", 3, -1, "3", "-1"),
        *({}, {"nobody": 1.0}, {"speaker_0": 0.0}, {"speaker_0": 2.0, "speaker_1": -1.0}),
        *({"speaker_0": float("nan")}, {"speaker_0": float("inf")}),
    ],
)
def test_speakers_that_are_none_are_refused(trio: Voice, speaker: Any) -> None:
    with pytest.raises(EdgevoiceError, match=r"speaker_0, speaker_1, speaker_2|weights of 0 or more"):
        trio.stream("Hello.", speaker=speaker)


@pytest.mark.parametrize(
    "words", ["", " ", "\n\n", "...", "?!", "\0\x01\x1b", "😀", "👩‍👩‍👧‍👦🇩🇪", "ˈˌ", "\ud800", "— –"]
)
def test_nothing_to_say_is_refused_before_any_sound(voice: Voice, words: str) -> None:
    with pytest.raises(NothingToSay, match="nothing to say"):
        voice.stream(words)


def test_what_cannot_be_said_is_skipped_with_a_note(voice: Voice) -> None:
    notes: list[str] = []
    sound = say(voice, "Good 😀 morn\x07ing 🎉, friend.", note=notes.append)
    assert notes == ["skipped 1 control character and 2 emoji: they cannot be spoken"]
    np.testing.assert_array_equal(sound, say(voice, "Good   morn ing  , friend."))


def test_a_sound_that_the_voice_lacks_is_noted_once(voice: Voice) -> None:
    poorer = without(voice, "ŋ")
    notes: list[str] = []
    assert len(say(poorer, "Sing a song. I am going home. Long ago.", note=notes.append))
    assert notes == ["skipped ŋ: the voice has no such sound"]


def without(voice: Voice, symbol: str) -> Voice:
    symbols = {key: ids for key, ids in voice._table.symbols.items() if key != symbol}
    return Voice(
        voice.bundle, voice.stages, msgspec.structs.replace(voice._table, symbols=symbols), voice._phonemizer
    )


class Counter:
    """An engine that counts its runs and remembers the longest input."""

    def __init__(self, engine: Any) -> None:
        self.inputs, self._engine, self.runs, self.longest = engine.inputs, engine, 0, 0

    def run(self, feeds: Any) -> list[Float]:
        self.runs += 1
        self.longest = max(self.longest, feeds[self.inputs[0]].shape[-1])
        sounds: list[Float] = self._engine.run(feeds)
        return sounds


@pytest.fixture
def counted(voice: Voice) -> Iterator[Counter]:
    plain = voice.stages
    counter = Counter(plain.encoder)
    voice.stages = replace(plain, encoder=counter)
    yield counter
    voice.stages = plain


def test_the_first_sound_of_a_long_text_waits_for_its_first_sentence_only(
    voice: Voice, counted: Counter
) -> None:
    stream = voice.stream("This is one of many sentences. " * 3300)
    assert counted.runs == 0
    next(stream)
    assert counted.runs == 1
    next(stream)
    assert counted.runs == 1


@pytest.mark.parametrize(
    "words", ["nosentenceend " * 100, "a, " * 300, "1234567890 " * 60, "word" * 300, "9" * 900]
)
def test_a_sentence_without_end_is_cut_before_the_encoder_grows(
    voice: Voice, counted: Counter, words: str
) -> None:
    stream = voice.stream(words, speed=10.0)
    while counted.runs < 3 and next(stream, None) is not None:
        pass
    assert counted.runs == 3
    assert counted.longest <= LONGEST_IDS


@pytest.mark.parametrize("words", ["WWW " * 74, "W" * 296, "9" * 300, "1234567890 " * 27])
def test_letters_and_digits_reach_the_encoder_in_short_pieces_and_whole(voice: Voice, words: str) -> None:
    sentences = text.sentences(words, "en-us", SENTENCE_LIMIT)
    parts = [part for sentence in sentences for part in voice._words(sentence, "en-us")]
    whole = [voice._table.encode(voice._phonemizer.phonemize(part))[0] for part in parts]
    pieces = list(voice._sentences(words, print))
    assert max(map(len, pieces)) <= LONGEST_IDS
    marks = {*voice._table.symbols[" "], *voice._table.begin, *voice._table.end, *voice._table.between}
    assert spoken(pieces, marks) == spoken(whole, marks)


def test_a_long_piece_is_split(voice: Voice) -> None:
    assert len(list(voice._sentences("WWW " * 74, print))) > 3


def spoken(rows: list[npt.NDArray[np.int64]], marks: set[int]) -> list[int]:
    return [number for row in rows for number in row.tolist() if number not in marks]


def test_two_threads_with_one_voice_do_not_mix(trio: Voice) -> None:
    jobs = [("Good morning to you.", "speaker_0", 1), ("What is the time now?", "speaker_2", 2)] * 4
    wanted = [say(trio, words, speaker=speaker, seed=seed) for words, speaker, seed in jobs[:2]]
    with ThreadPoolExecutor(2) as pool:
        sounds = list(pool.map(lambda job: say(trio, job[0], speaker=job[1], seed=job[2]), jobs))
    for number, sound in enumerate(sounds):
        np.testing.assert_array_equal(sound, wanted[number % 2])


GROWTH = """
import sys
from edgevoice import Voice
from edgevoice.deploy.selftest import peak_bytes

voice = Voice.load(sys.argv[1], threads=1)
sentence = "This is a sentence, and here it goes on for a while, and then it ends. "

def read(characters, seconds):
    samples = 0
    for sound in voice.stream(sentence * (characters // len(sentence)), speed=10.0, pause=0.0):
        samples += len(sound)
        if samples > seconds * voice.sample_rate:
            break
    return samples

read(1_000, 3600)
before = peak_bytes()
samples = read(100_000, 30)
sentences = sum(1 for _ in voice._sentences(sentence * (100_000 // len(sentence)), print))
print(peak_bytes() - before, samples, sentences)
"""


def test_memory_stays_flat_over_100_000_characters(spoken_bundle: Path) -> None:
    """All sentences, but only the first thirty seconds of sound: that is enough to see it grow."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(spoken_bundle)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    growth, samples, sentences = map(int, done.stdout.split())
    assert samples > 30 * 22050
    assert sentences == 100_000 // 71
    assert growth < 2_000_000  # the sound alone is 2.6 MB


def test_speaking_leaves_no_trace_in_the_home_and_starts_no_thread(
    spoken_bundle: Path, tmp_path: Path
) -> None:
    """ONNX Runtime from 1.32 on would keep a database of what it did there, and report it."""
    speak = (
        "import os, sys; from edgevoice import Voice; voice = Voice.load(sys.argv[1], threads=1);"
        "print(sum(map(len, voice.stream('Hello.'))), len(os.listdir('/proc/self/task')))"
    )
    plain = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", speak, str(spoken_bundle)],
        env={**plain, **home},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout.split()[0]) > 1000
    assert int(done.stdout.split()[1]) == 1
    assert not list(tmp_path.iterdir())


# Loading.


def test_an_install_without_its_voice_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "files", lambda _: tmp_path)
    with pytest.raises(EdgevoiceError, match=r"install edgevoice again.*--voice"):
        Voice.load(None)


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_threads_without_sense_are_refused(spoken_bundle: Path, threads: int) -> None:
    with pytest.raises(EdgevoiceError, match=f"--threads {threads} is not possible"):
        Voice.load(spoken_bundle, threads)


def test_two_voices_with_their_own_thread_counts_live_in_one_process(
    voice: Voice, spoken_bundle: Path
) -> None:
    two = Voice.load(spoken_bundle, threads=2)
    np.testing.assert_allclose(say(two, "Hello."), say(voice, "Hello."), atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"not an onnx file", b"\x08\x08", None])
def test_an_engine_file_that_is_none_is_one_line(
    tiny_bundle: Path, tmp_path: Path, content: bytes | None
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(
        (tiny_bundle / "encoder.fp32.onnx").read_bytes()[:50_000] if content is None else content
    )
    folder = rewritten(tiny_bundle, tmp_path / "bundle", lexicon, encoder=broken)
    with pytest.raises(EdgevoiceError, match=r"ONNX Runtime .* cannot load .*encoder\.fp32\.onnx") as caught:
        Voice.load(folder)
    assert "\n" not in str(caught.value)


def test_an_engine_that_fails_while_running_is_one_line(spoken_bundle: Path) -> None:
    engine = OnnxEngine(spoken_bundle / "encoder.fp32.onnx", 1)
    feeds: dict[str, Any] = {
        "phonemes": np.full((1, 5), 10**6, np.int64),
        "noise": np.zeros((1, 2, 5), np.float32),
    }
    with pytest.raises(EdgevoiceError, match=r"cannot run .*encoder\.fp32\.onnx: .*") as caught:
        engine.run(feeds)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"symbols": 1}', b'{"symbols": {}, "x": 1}', b"\xff"]
)
def test_a_damaged_symbol_table_is_one_line(tiny_bundle: Path, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "table").write_bytes(raw)
    folder = rewritten(tiny_bundle, tmp_path / "bundle", lexicon, text=tmp_path / "table")
    with pytest.raises(EdgevoiceError, match=r"table.*"):
        Voice.load(folder)


def test_a_speaker_table_that_does_not_fit_its_names_is_one_line(
    tiny_multispeaker_bundle: Path, tmp_path: Path
) -> None:
    rows = np.load(tiny_multispeaker_bundle / "speakers.npy")
    for number, wrong in enumerate([rows[:2], rows[0], None, np.array([{}], object)]):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(b"") if wrong is None else np.save(path, wrong, allow_pickle=True)
        folder = rewritten(tiny_multispeaker_bundle, tmp_path / str(number), lexicon, speakers=path)
        with pytest.raises(EdgevoiceError, match=r"speakers\.npy is no table of 3 speakers"):
            Voice.load(folder)


def test_a_sentence_is_spoken_with_the_row_for_its_length(
    tiny_multispeaker_bundle: Path, tmp_path: Path
) -> None:
    rows = np.load(tiny_multispeaker_bundle / "speakers.npy")
    np.save(tmp_path / "by_length.npy", np.stack([rows[[0, 2]]] * 3))

    def counted(made: Manifest) -> Manifest:
        assert made.voice.speakers is not None
        table = msgspec.structs.replace(made.voice.speakers, counts=[1, 5])
        voice = msgspec.structs.replace(made.voice, speakers=table)
        return lexicon(msgspec.structs.replace(made, voice=voice))

    by_length = tmp_path / "by_length.npy"
    folder = rewritten(tiny_multispeaker_bundle, tmp_path / "bundle", counted, speakers=by_length)
    plain = Voice.load(rewritten(tiny_multispeaker_bundle, tmp_path / "plain", lexicon), threads=1)
    # Every sentence has more than five ids, so it is the last row's, whoever speaks.
    np.testing.assert_array_equal(
        say(Voice.load(folder, threads=1), "Hello.", speaker=1), say(plain, "Hello.", speaker=2)
    )
    falling = rewritten(tiny_multispeaker_bundle, tmp_path / "falling", counted, speakers=by_length)
    manifest = json.loads((falling / "manifest.json").read_text())
    manifest["voice"]["speakers"]["counts"] = [5, 1]
    (falling / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EdgevoiceError, match="the counts of a table do not rise"):
        Voice.load(falling)


def test_the_first_phonemizer_that_works_is_taken(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def naming(*names: str) -> Callable[[Manifest], Manifest]:
        return lambda manifest: msgspec.structs.replace(
            manifest, text=msgspec.structs.replace(manifest.text, phonemizers=list(names))
        )

    def no_espeak(name: str, language: str) -> text.Phonemizer:
        if name == "espeak":
            raise EdgevoiceError("espeak-ng is missing: pip install espeakng-loader")
        return phonemizer(name, language)

    both = rewritten(tiny_bundle, tmp_path / "both", naming("espeak", "lexicon"))
    one = rewritten(tiny_bundle, tmp_path / "one", naming("espeak"))
    phonemizer = text.phonemizer
    monkeypatch.setattr(text, "phonemizer", no_espeak)
    assert Voice.load(both)._phonemizer.name == "lexicon"
    with pytest.raises(EdgevoiceError, match="espeak-ng is missing"):
        Voice.load(one)


# Finding.


def deployed(root: Path, source: Path) -> Path:
    """A deployed folder as `edgevoice deploy` leaves it, without its self-test."""
    folder = Folder(root)
    name = bundle.read(source).id[:16]
    folder.releases.mkdir(parents=True)
    folder.mark.touch()
    shutil.copytree(source, folder.release(name))
    folder.current.symlink_to(f"releases/{name}")
    return folder.release(name)


def test_a_bundle_and_a_deployed_folder_are_found(tiny_bundle: Path, tmp_path: Path) -> None:
    assert find(tiny_bundle) == tiny_bundle
    assert find(str(tiny_bundle)) == tiny_bundle
    release = deployed(tmp_path / "device", tiny_bundle)
    assert find(tmp_path / "device") == release
    assert Voice.load(tmp_path / "device").bundle.path == release


def test_a_voice_in_the_package_is_found_by_name(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "voices" / finding.DEFAULT)
    shutil.copytree(tiny_bundle, tmp_path / "voices" / "nova")
    monkeypatch.setattr(finding, "files", lambda _: tmp_path)
    assert find(None) == find(finding.DEFAULT) == tmp_path / "voices" / finding.DEFAULT
    assert find("nova") == tmp_path / "voices/nova"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "does not exist"),
        ("no/where", "does not exist"),
        ("../voices/x", "does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "does not exist"),
        ("", "neither a bundle nor a deployed folder"),
        ("foreign", "neither a bundle nor a deployed folder"),
        ("foreign/thesis.txt", "neither a bundle nor a deployed folder"),
        ("hollow", "has no release yet"),
    ],
)
def test_places_without_a_voice_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/thesis.txt").write_text("x")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/edgevoice.lock").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgevoiceError, match=message) as caught:
        find(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["changed", "cut", "lost", "no manifest"])
def test_a_damaged_release_says_how_to_mend_a_release(tiny_bundle: Path, tmp_path: Path, damage: str) -> None:
    root, name = tmp_path / "device", bundle.read(tiny_bundle).id[:16]
    release = root / "releases" / name
    shutil.copytree(tiny_bundle, release)
    (root / "edgevoice.lock").touch()
    (root / "current").symlink_to(f"releases/{name}")
    file = release / ("manifest.json" if damage == "no manifest" else "vocoder.fp32.onnx")
    raw = file.read_bytes()
    if damage == "lost":
        file.unlink()
    else:
        end = bytes([raw[-1] ^ 1])
        file.write_bytes({"changed": raw[:-1] + end, "cut": raw[:-1], "no manifest": b"[]"}[damage])
    advice = rf"deploy the bundle again.*edgevoice rollback {root}"
    with pytest.raises(EdgevoiceError, match=advice) as caught:
        Voice.load(root, threads=1)
    assert "copy" not in str(caught.value)


def test_a_damaged_bundle_is_refused_and_checks_can_be_left_to_the_deploy(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, folder)
    table = folder / "text.json"
    plain = json.loads(table.read_bytes())
    assert plain["symbols"]["b"] != plain["symbols"]["d"]
    table.write_bytes(table.read_bytes().replace(b'"b"', b'"B"'))
    with pytest.raises(EdgevoiceError, match=r"text\.json was changed"):
        Voice.load(folder)
    assert Voice.load(folder, verify=False)
