"""What a device installs works without the workstation's libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from edgevoice import bundle

LIBRARIES = {"lightning_fabric", "onnx", "onnx_graphsurgeon", "safetensors", "scipy", "torch", "tqdm"}
SAY = ("say", "--voice", "device", "Hello there, it is 7:45.", "-o", "hello.wav")

IMPORT = "import edgevoice, targets"
HELP = """
import sys
from edgevoice.cli import main
sys.argv = ["edgevoice", "--help"]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
"""


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [(IMPORT, LIBRARIES | {"calibration", "compress"}), (HELP, LIBRARIES)],  # help names compress's verb
    ids=["import", "help"],
)
def test_the_workstation_stays_out(code: str, forbidden: set[str]) -> None:
    """Here all of it is installed, so only restraint keeps it out."""
    code += "\nimport sys\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "edgevoice" in loaded
    assert not loaded & forbidden


@pytest.mark.packaging
class TestInAnEmptyEnvironment:
    def test_none_of_them_is_installed(self, empty_venv: Path) -> None:
        found = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
        installed = run(empty_venv, "python", "-c", found, "onnxruntime", *LIBRARIES).stdout.split()
        assert installed == ["onnxruntime"]

    def test_import_and_help(self, empty_venv: Path) -> None:
        done = run(empty_venv, "python", "-c", IMPORT + HELP)
        assert done.returncode == 0, done.stderr
        assert "say" in done.stdout

    def test_compress_says_what_to_install(self, empty_venv: Path, tmp_path: Path) -> None:
        voice = tmp_path / "voice.onnx"
        voice.write_bytes(b"")
        wanted = ("--target", "cpu", "--recipe", "quantize", "-o", "out")
        done = run(empty_venv, "edgevoice", "compress", str(voice), *wanted, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert "pip install 'onnx<2,>=1.16'" in line
        assert list(tmp_path.iterdir()) == [voice]

    def test_it_speaks_at_once_with_the_voice_it_brings(self, empty_venv: Path, tmp_path: Path) -> None:
        done = run(empty_venv, "edgevoice", "say", "Hello.", "-o", "hello.wav", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        sound, rate = soundfile.read(tmp_path / "hello.wav")
        assert 0.3 < len(sound) / rate < 3
        assert abs(sound).max() > 0.05

    def test_a_deployed_bundle_speaks(self, empty_venv: Path, lexicon_bundle: Path, tmp_path: Path) -> None:
        for words in (("deploy", str(lexicon_bundle), "device"), SAY):
            done = run(empty_venv, "edgevoice", *words, cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
        sound, rate = soundfile.read(tmp_path / "hello.wav")
        assert rate == bundle.read(lexicon_bundle).manifest.voice.sample_rate
        assert len(sound) > rate // 10
        assert abs(sound).max() > 0.01


def run(folder: Path, name: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [folder / name, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=240)
