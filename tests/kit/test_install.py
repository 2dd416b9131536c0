"""The installer on a bare device: what it makes, what it shares, what it refuses, what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.deploy_bundles import make, name_of
from remote import fake_kit

from edgevoice.deploy.local import deploy as deploy_here
from edgevoice.deploy.local import resolve
from edgevoice.deploy.selftest import Report
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install, launcher
from edgevoice.kit.install import InstallError


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_kit.make_kit(tmp_path_factory.mktemp("kit") / "kit")


@pytest.fixture(scope="module")
def installed(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a runtime and no release, made by the kit's own file in a Python that has nothing."""
    root = tmp_path_factory.mktemp("device") / "root"
    done = run(fake_kit.base_python(), "-I", str(kit / "install.py"), str(root))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{root}/bin/edgevoice is ready\n"
    return root


def run(*command: str) -> subprocess.CompletedProcess[str]:
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, timeout=300, **quiet)  # type: ignore[call-overload,no-any-return]


def copy(kit: Path, place: Path) -> Path:
    shutil.copytree(kit, place)
    return place


def test_the_launcher_works_from_anywhere(installed: Path, tmp_path: Path) -> None:
    link = tmp_path / "edgevoice"
    link.symlink_to(installed / "bin/edgevoice")
    done = run(str(link), "--version")
    assert (done.returncode, done.stdout.strip()) == (0, "0.1.0"), done.stderr


def test_the_environment_sees_the_system_and_nothing_else(installed: Path) -> None:
    """TensorRT and CUDA come from JetPack; PYTHONPATH and the user's own packages stay out."""
    settings = (installed / "runtime/pyvenv.cfg").read_text()
    assert "include-system-site-packages = true" in settings
    assert not list((installed / "runtime/lib").glob("*/site-packages/pip"))
    probe = "import sys; print(sys.flags.isolated, sys.prefix)"
    start = (installed / "runtime/start.py").read_text()
    assert "-I" in (installed / "bin/edgevoice").read_text()
    assert "flock" in start
    done = run(str(installed / "runtime/bin/python"), "-I", "-c", probe)
    assert done.stdout.split() == ["1", str((installed / "runtime").absolute())]


def test_a_process_of_the_runtime_knows_its_launcher(installed: Path, tmp_path: Path) -> None:
    """A service that starts anew must not stay with the runtime of an earlier release."""
    code = "import pathlib, sys; from edgevoice.kit import launcher; "
    code += "print(*(launcher.command(pathlib.Path(root)) for root in sys.argv[1:]))"
    python = str((installed / "runtime").resolve() / "bin/python")
    done = run(python, "-I", "-c", code, str(installed), str(tmp_path))
    assert done.stdout.strip() == f"{[str(installed / 'bin/edgevoice')]} None", done.stderr
    assert launcher.command(installed) is None


def test_a_second_installation_does_nothing(installed: Path, kit: Path) -> None:
    before = (installed / "runtime/complete").stat().st_mtime_ns
    assert install.install(kit, installed) == (installed / "runtime").resolve()
    assert (installed / "runtime/complete").stat().st_mtime_ns == before


def test_a_release_is_heard_and_started_with_its_runtime(kit: Path, tmp_path: Path) -> None:
    root, bundles = tmp_path / "root", [make(tmp_path, "one"), make(tmp_path, "mute", encoder=3)]
    install.claim(root)
    half = root / "runtimes" / install.read_lock(kit)[1]  # as an installation leaves it that was killed
    half.mkdir(parents=True)
    (half / "rubbish").touch()
    home = install.install(kit, root)
    assert home == half
    assert not (home / "rubbish").exists()
    assert install.deploy(root, home, bundles[0], []).returncode == 0
    assert os.readlink(root / "runtimes/for" / name_of(bundles[0])) == f"../{home.name}"
    assert install.current_home(root) == home
    refused = install.deploy(root, home, bundles[1], [])
    assert "nearly silent" in json.loads(refused.stdout)["error"]
    assert not (root / "runtimes/for" / name_of(bundles[1])).is_symlink()
    assert resolve(root).name == name_of(bundles[0])


def test_what_a_runtime_deploys_by_itself_speaks_with_it(kit: Path, tmp_path: Path) -> None:
    """Not with the newest runtime, which a rollback has left and which never heard it."""
    root = tmp_path / "root"
    later = fake_kit.make_kit(tmp_path / "later", mark="later")
    for number, source in enumerate((kit, later)):
        home = install.install(source, root)
        assert install.deploy(root, home, make(tmp_path, f"v{number}", vocoder=number), []).returncode == 0
    for words in (["rollback"], ["deploy", str(make(tmp_path, "v2", vocoder=2))]):
        done = run(str(root / "bin/edgevoice"), *words, str(root))
        assert done.returncode == 0, done.stderr
    assert (root / "runtime").resolve() == home
    assert install.current_home(root).name == install.read_lock(kit)[1]


def test_only_what_nothing_needs_is_removed(installed: Path, kit: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(installed, root, symlinks=True)
    kept = (root / "runtime").resolve()
    for name in ("install.py", fake_kit.NAME):
        shutil.copytree(kept, root / "runtimes" / install.sha256(kit / name)[:16], symlinks=True)
    homes = sorted(path for path in (root / "runtimes").iterdir() if path != kept)
    code = (
        "import fcntl, sys; m = open(sys.argv[1]); fcntl.flock(m, fcntl.LOCK_SH); print(flush=True); input()"
    )
    words = [sys.executable, "-c", code, str(homes[0] / "start.py")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        try:
            (root / "runtimes/for").mkdir(exist_ok=True)
            install.prune(root, kept)
            assert homes[0].exists()
        finally:
            user.kill()
    install.prune(root, kept)
    assert {path.name for path in (root / "runtimes").iterdir()} == {kept.name, "for"}


class TestRefused:
    def refused(self, kit: Path, root: Path, message: str) -> None:
        with pytest.raises(InstallError, match=message):
            install.install(kit, root)
        assert not (root / "bin").exists()
        assert not list(root.glob("runtimes/*/complete"))

    @pytest.mark.parametrize("kind", ["edgevoice", "pip"])
    def test_a_wheel_with_another_byte(self, kit: Path, tmp_path: Path, kind: str) -> None:
        altered = copy(kit, tmp_path / "kit")
        wheel = next(altered.glob(f"{kind}-*.whl"))
        data = bytearray(wheel.read_bytes())
        data[len(data) // 2] ^= 1
        wheel.write_bytes(data)
        self.refused(altered, tmp_path / "root", "was changed or cut short")

    def test_a_wheel_that_is_missing_or_leads_elsewhere(self, kit: Path, tmp_path: Path) -> None:
        altered = copy(kit, tmp_path / "kit")
        (altered / fake_kit.NAME).unlink()
        self.refused(altered, tmp_path / "root", "is missing: copy the whole kit again")
        (altered / fake_kit.NAME).symlink_to(kit / fake_kit.NAME)
        self.refused(altered, tmp_path / "root", "no plain file")

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("schema", 2, "schema version 2"),
            ("machine", "riscv64", r"for Python .* on riscv64"),
            ("python", "3.9", r"for Python 3\.9"),
            ("glibc", "2.999", r"needs glibc 2\.999"),
            ("pip", "pip-99-py3-none-any.whl", "its pip is missing"),
            ("wheels", {"../pip-1-py3-none-any.whl": {"sha256": "0" * 64, "bytes": 1}}, "unsafe file name"),
            ("wheels", {"a-1-py3-none-any.whl": {"sha256": "x", "bytes": 1}}, "has no checksum"),
            ("wheels", ["a-1-py3-none-any.whl"], "it is no lock file"),
        ],
    )
    def test_a_lock_file_that_is_not_as_it_should_be(
        self, kit: Path, tmp_path: Path, key: str, value: object, message: str
    ) -> None:
        altered = copy(kit, tmp_path / "kit")
        lock = json.loads((altered / install.LOCK).read_text())
        (altered / install.LOCK).write_text(json.dumps({**lock, key: value}))
        self.refused(altered, tmp_path / "root", message)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}'])
    def test_what_is_no_lock_file(self, tmp_path: Path, text: str) -> None:
        (tmp_path / install.LOCK).write_text(text)
        self.refused(tmp_path, tmp_path / "root", "it is no lock file")

    def test_a_folder_that_holds_other_things(self, kit: Path, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root/photo.jpg").touch()
        self.refused(kit, tmp_path / "root", "holds other things")
        assert os.listdir(tmp_path / "root") == ["photo.jpg"]

    def test_a_wheel_that_needs_what_the_kit_lacks(self, tmp_path: Path) -> None:
        """pip looks at nothing but the kit."""
        kit = fake_kit.make_kit(tmp_path / "kit", needs="numpy")
        self.refused(kit, tmp_path / "root", "could not be made: .*numpy")

    def test_one_line_on_the_command_line(self, kit: Path, tmp_path: Path) -> None:
        altered = copy(kit, tmp_path / "kit")
        (altered / fake_kit.NAME).unlink()
        done = run(fake_kit.base_python(), "-I", str(altered / "install.py"), str(tmp_path / "root"))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert done.stderr.startswith("error: ")


def test_a_failed_first_deploy_leaves_the_runtime(installed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(installed, root, symlinks=True)
    with pytest.raises(EdgevoiceError, match=r"failed its self-test"):
        deploy_here(make(tmp_path, "bad"), root, self_test=lambda *_: Report(["no sound"]))
    assert run(str(root / "bin/edgevoice"), "--version").returncode == 0
    assert install.install(Path(root / "runtime" / "kit"), root)
