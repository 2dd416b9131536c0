"""A file is written whole or not at all, and what hindered it is named."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from calibration.atomic import CannotWrite, atomic


def test_a_file_comes_whole_into_a_folder_that_was_not_there(tmp_path: Path):
    path = tmp_path / "deep" / "file"
    for text in (b"one", b"other"):
        with atomic(path) as file:
            file.write(text)
        assert path.read_bytes() == text
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_what_was_there_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    expected = CannotWrite if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected), atomic(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(CannotWrite, match=r"file/inside cannot be written"),
        atomic(tmp_path / "file" / "inside"),
    ):
        pass
