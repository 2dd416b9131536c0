"""Labels: the same for the same teacher and text, whole or redone, never mixed."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_labels import SENTENCES, TinyTeacher, tiny_labels

from compress.labels.make import SHARD, label
from compress.labels.store import Labels, shard_path
from compress.texts import source
from compress.texts.generate import everyday, words_for
from edgevoice.errors import EdgevoiceError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labels")
    tiny_labels(root)
    return root


def contents(labels: Labels) -> list[dict[str, bytes]]:
    """All fields of all utterances; the files' own bytes differ in the order of their header."""
    fields = ["phonemes", "durations", "hidden", "latents", "audio"]
    return [
        {name: value.tobytes() for name, value in labels.read(index, fields).items()}
        for index in range(len(labels))
    ]


def test_labels_give_back_what_the_teacher_said(made: Path) -> None:
    labels = Labels(made)
    assert [entry.text for entry in labels.entries] == SENTENCES
    teacher = TinyTeacher()
    said = teacher.speak(teacher.phonemes(SENTENCES[SHARD + 1]), labels.entries[SHARD + 1].seed)
    back = labels.read(SHARD + 1, list(said))
    for name, value in said.items():
        np.testing.assert_array_equal(back[name], value)
    assert labels.seconds() == pytest.approx(sum(e.frames for e in labels.entries) / 100)


def test_a_cut_is_a_part_of_the_whole(made: Path) -> None:
    labels = Labels(made)
    whole = labels.read(3, ["latents", "audio"])
    np.testing.assert_array_equal(labels.cut(3, "latents", 5, 9), whole["latents"][:, 5:9])
    np.testing.assert_array_equal(labels.cut(3, "audio", 80, 144), whole["audio"][80:144])


def test_a_second_run_makes_only_what_is_missing_and_makes_it_the_same(tmp_path: Path) -> None:
    before = contents(tiny_labels(tmp_path))
    shard_path(tmp_path, 1).unlink()
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path) == 1
    assert contents(Labels(tmp_path)) == before
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path) == 0


def test_a_half_written_shard_is_named_and_redone(tmp_path: Path) -> None:
    before = contents(tiny_labels(tmp_path, count=SHARD))
    path = shard_path(tmp_path, 0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EdgevoiceError, match=r"shard-000000.*half-written.*label again"):
        Labels(tmp_path)
    assert label(TinyTeacher, SENTENCES[:SHARD], "tiny", tmp_path) == 1
    assert contents(Labels(tmp_path)) == before


def test_without_audio_the_rest_is_the_same(tmp_path: Path, made: Path) -> None:
    label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=1)
    labels, whole = Labels(tmp_path), Labels(made)
    assert [entry.with_audio for entry in labels.entries] == [n < SHARD for n in range(len(SENTENCES))]
    assert [entry.frames for entry in labels.entries] == [entry.frames for entry in whole.entries]
    for name, value in whole.read(SHARD, ["phonemes", "durations", "hidden", "latents"]).items():
        np.testing.assert_array_equal(labels.read(SHARD, [name])[name], value)
    assert labels.seconds() == whole.seconds()
    assert labels.seconds(labels.with_audio) == pytest.approx(
        sum(e.frames for e in labels.entries[:SHARD]) / 100
    )


def test_sound_that_is_asked_for_later_is_made(tmp_path: Path, made: Path) -> None:
    label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=1)
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=1) == 0
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=SHARD + 1) == 1
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path) == 1
    assert contents(Labels(tmp_path)) == contents(Labels(made))
    assert label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=1) == 0


def test_two_processes_make_what_one_makes(tmp_path: Path, made: Path) -> None:
    label(TinyTeacher, SENTENCES, "tiny", tmp_path, jobs=2)
    assert contents(Labels(tmp_path)) == contents(Labels(made))


SLOW_LABELLING = """
import os, time
from pathlib import Path
from compress.labels.make import label
from tiny_labels import SENTENCES, TinyTeacher

class SlowTeacher(TinyTeacher):
    def speak(self, phonemes, seed, audio=True):
        print(os.getpid(), flush=True)
        time.sleep(600)

if __name__ == "__main__":
    label(SlowTeacher, SENTENCES, "tiny", Path("labels"), jobs=2)
"""


def test_no_process_outlives_a_killed_labelling(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(SLOW_LABELLING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        try:
            assert running.stdout.readline().strip()
            running.kill()
            running.stdout.read()  # ends once the last process that holds the pipe has ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def test_labels_of_another_teacher_are_refused(tmp_path: Path) -> None:
    tiny_labels(tmp_path / "a", count=SHARD)
    with pytest.raises(EdgevoiceError, match="name another folder"):
        tiny_labels(tmp_path / "a", version="2", count=SHARD)
    tiny_labels(tmp_path / "b", version="2", count=SHARD)
    os.replace(shard_path(tmp_path / "b", 0), shard_path(tmp_path / "a", 0))
    with pytest.raises(EdgevoiceError, match="another teacher"):
        Labels(tmp_path / "a")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("compress.labels.store.os.fsync", full)
    with pytest.raises(EdgevoiceError, match="No space left on device"):
        tiny_labels(tmp_path, count=SHARD)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_no_label_folder(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="holds no labels"):
        Labels(tmp_path)


def test_training_text_is_the_same_each_time_and_never_held_out() -> None:
    first = list(itertools.islice(source.training(), 8000))
    assert first[:200] == list(itertools.islice(source.training(), 200))
    assert not set(first) & set(source.held_out())
    assert len(set(first)) > 7900
    assert len(set(source.held_out())) >= 600


def test_generated_sentences_are_varied_and_bounded() -> None:
    sentences = list(itertools.islice(everyday(3), 500))
    assert len(set(sentences)) == 500
    assert max(len(s.split()) for s in sentences) <= 30
    assert not any(c in s for s in sentences for c in "{}=|")
    assert any(s.endswith("?") for s in sentences)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (40, "forty"),
        (99, "ninety-nine"),
        (101, "one hundred and one"),
        (2017, "two thousand and seventeen"),
    ],
)
def test_numbers_are_spelt(number: int, words: str) -> None:
    assert words_for(number) == words


def test_a_users_text_file(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("One.\n\nTwo.\n")
    assert source.from_file(tmp_path / "t.txt") == ["One.", "Two."]
    (tmp_path / "t.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(EdgevoiceError, match="UTF-8"):
        source.from_file(tmp_path / "t.txt")
    (tmp_path / "t.txt").write_text("\n")
    with pytest.raises(EdgevoiceError, match="no sentence"):
        source.from_file(tmp_path / "t.txt")


def test_a_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST_FILE", 1 << 20)
    with pytest.raises(EdgevoiceError, match="/dev/zero has more than 1 MiB"):
        source.from_file(Path("/dev/zero"))


def test_a_field_that_these_labels_do_not_hold_is_named(made: Path) -> None:
    with pytest.raises(EdgevoiceError, match=r"labels of another kind of teacher: .*0\.style"):
        Labels(made).read(0, ["style"])
