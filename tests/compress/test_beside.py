"""`report --teacher` lets a bundle and what it was made of say the same sentences, frame by frame."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import soundfile
import typer
from typer.testing import CliRunner

from calibration.samples import Samples, keep, read
from compress import beside, report, teachers
from compress.workspace import Workspace
from edgevoice import bundle
from edgevoice.errors import EdgevoiceError

TEXTS = ["hello there.", "one two."]


def test_the_bundle_speaks_at_its_teachers_durations_and_noise(
    tiny_voice: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    made = bundle.read(tiny_bundle)
    found = beside.samples(teachers.read(tiny_voice), made, TEXTS, Workspace(tmp_path))
    assert list(found.sounds) == ["teacher", "fp32"]
    for first, second in zip(found.sounds["teacher"], found.sounds["fp32"], strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    other = found.sounds["teacher"]
    assert len(other[0]) != len(other[1])


def test_another_voice_is_not_its_teacher(
    tiny_multispeaker_voice: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgevoiceError, match=r"was not made of .*names a voice of the SHA-256"):
        beside.samples(
            teachers.read(tiny_multispeaker_voice), bundle.read(tiny_bundle), TEXTS, Workspace(tmp_path)
        )


def test_a_text_without_a_word_is_refused(tiny_voice: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="nothing to say"):
        beside.samples(teachers.read(tiny_voice), bundle.read(tiny_bundle), ["..."], Workspace(tmp_path))


def test_the_page_has_the_kept_sentences_anew(tiny_voice: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """What is beside the bundle stays as it was."""
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    made = bundle.read(copy)
    keep(made, Samples(16000, tuple(TEXTS), {"fp32": [np.zeros(9)] * 2}, {}, "made by x"))
    app = typer.Typer()
    app.command("other")(lambda: None)
    report.register(app)
    out = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", str(copy), "-o", str(out), "--teacher", str(tiny_voice)])
    assert done.exit_code == 0, done.output
    page = out.read_text()
    players = re.findall(r'<audio[^>]*src="data:audio/flac;base64,([^"]+)"', page)
    lengths = [len(soundfile.read(io.BytesIO(base64.b64decode(one)))[0]) for one in players]
    assert len(lengths) == 4
    assert min(lengths) > 1000
    assert all(text in page for text in (*TEXTS, "Teacher", "made by x"))
    kept = read(made)
    assert kept is not None
    assert list(kept.sounds) == ["fp32"]


def test_what_the_teacher_needs_and_is_not_installed_is_one_line(
    tiny_voice: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setattr(report, "_beside", missing)
    with pytest.raises(EdgevoiceError, match="report needs onnx, which is not installed: pip install"):
        report.report(tiny_bundle, tmp_path / "report.html", ["hello."], None, tiny_voice)
