from __future__ import annotations

from pathlib import Path

import pytest

from compress.describe import made_by
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError


def test_what_was_made_is_used_again_until_its_inputs_change(tmp_path: Path) -> None:
    made: list[int] = []

    def work(inputs: int) -> object:
        return Workspace(tmp_path / "work").data("figure.json", inputs, lambda: made.append(inputs) or inputs)

    assert work(1) == 1
    assert work(1) == 1
    assert work(2) == 2
    assert made == [1, 2]


def test_results_of_other_source_files_are_not_used(tmp_path: Path) -> None:
    assert len(made_by()["source"]) == 64
    assert made_by() is made_by()  # read once a process
    made: list[str] = []
    for source in ("a", "a", "b"):
        work = Workspace(tmp_path / "work", {**made_by(), "source": source})
        work.data("figure.json", 1, lambda source=source: made.append(source) or source)  # type: ignore[misc]
        del work
    assert made == ["a", "b"]


def test_a_failed_step_leaves_nothing_and_the_older_result(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    work.file("stage", 1, lambda path: path.write_text("whole"))

    def half(path: Path) -> None:
        path.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        work.file("stage", 2, half)
    assert (work.folder / "stage").read_text() == "whole"
    assert not list(work.folder.glob(".partial*"))


def test_a_lost_result_is_made_again(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    work.file("stage", 1, lambda path: path.write_text("first"))
    (work.folder / "stage").unlink()
    assert work.file("stage", 1, lambda path: path.write_text("again")).read_text() == "again"


def test_what_a_killed_run_left_is_swept_up(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / ".partial.stage").write_text("ha")
    (folder / "made.json").write_text("{ cut sh")
    work = Workspace(folder)
    assert not (folder / ".partial.stage").exists()
    assert work.data("figure.json", 1, lambda: 5) == 5


def test_a_note_that_was_changed_is_not_used(tmp_path: Path) -> None:
    def make(path: Path) -> dict[str, object]:
        path.write_text("stage")
        return {"left": {"a": 0.1}, "sizes": (1, 2)}

    folder = tmp_path / "work"
    Workspace(folder).noted("stage", 1, make)
    assert Workspace(folder).noted("stage", 1, lambda _: pytest.fail("made again"))[1]["sizes"] == [1, 2]
    state = folder / "made.json"
    state.write_text(state.read_text().replace('"left"', '"lost"'))
    assert Workspace(folder).noted("stage", 1, make)[1]["left"] == {"a": 0.1}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    first = Workspace(tmp_path / "work")
    with pytest.raises(EdgevoiceError, match="another compress is at work"):
        Workspace(first.folder)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgevoiceError, match="cannot write"):
        Workspace(tmp_path / "file" / "work")


def test_results_of_another_version_are_not_used(tmp_path: Path) -> None:
    for version, expected in (("1", "1"), ("1", "1"), ("2", "2")):
        work = Workspace(tmp_path / "work", {"edgevoice": version})
        if expected != "1" or not (work.folder / "search.json").exists():
            assert list(work.folder.iterdir()) == [work.folder / "lock"]
        (work.folder / "search.json").write_text("what a search keeps beside")
        assert work.data("figure.json", 1, lambda version=version: version) == expected
        del work


def test_an_input_that_json_cannot_hold_is_an_error_not_a_chance_key(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Workspace(tmp_path / "work").data("figure.json", object(), lambda: 1)


def test_a_file_that_lost_its_end_is_made_again(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    work.data("figure.json", 1, lambda: [1, 2, 3])
    (work.folder / "figure.json").write_text("")
    assert work.data("figure.json", 1, lambda: "again") == "again"


def test_what_a_step_has_to_say_is_kept_with_its_file_or_without_one(tmp_path: Path) -> None:
    made: list[str] = []

    def write(path: Path) -> str:
        made.append("file")
        path.write_text("whole")
        return "why"

    def refuse(path: Path) -> str:
        made.append("none")
        return "why not"

    for _ in range(2):
        work = Workspace(tmp_path / "work")
        assert work.noted("stage", 1, write) == (work.folder / "stage", "why")
        assert work.noted("other", 1, refuse) == (None, "why not")
        del work
    assert made == ["file", "none"]
