"""The aarch64 wheelhouse on an aarch64 Python under user-mode emulation: it installs, the tiny voice speaks.

    python tests/kit/aarch64.py WORK BUNDLE

WORK keeps what was downloaded: Debian's Python for arm64, unpacked without root, and the kit. Needs apt,
dpkg-deb and qemu-user-static. Takes minutes, so it is a command (`make test-aarch64`) and no test. The sound
must equal this machine's within TOLERANCE: ONNX Runtime's kernels sum in another order there.

ONNX Runtime is held at the release that a JetPack 6 device gets, the last one for Python 3.10. Version 1.32
was seen to crash on import under QEMU 7.2, whatever CPU it plays; that says nothing about a real one.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from edgevoice.kit import install, make
from edgevoice.kit.device import Device

TOLERANCE = 1e-4
"""Of full scale, for FP32 stages: three steps of 16 bits. One step was seen."""

ONNXRUNTIME = "1.23.2"
TEXT = "Hello there, it is 7:45."
PACKAGES = (
    "libc6 libgcc-s1 libstdc++6 zlib1g libssl3 libffi8 libbz2-1.0 liblzma5 libexpat1 libuuid1 libcrypt1 "
    "libpython3.11-minimal libpython3.11-stdlib python3.11-minimal"
).split()
SECONDS = 3600

# Children are emulated too, without the kernel's help: the interpreter is a script that starts qemu.
WRAPPER = """\
#!/bin/sh
exec {qemu} -L {system} -0 "$0" {system}/usr/bin/python3.11.arm64 "$@"
"""


def main(work: Path, bundle: Path) -> int:
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    missing = [name for name in ("apt-get", "dpkg-deb") if not shutil.which(name)]
    if qemu is None or missing:
        print(f"skipped: {' '.join(missing) or 'no qemu here (apt install qemu-user-static)'}")
        return 0
    python = system(work / "system", qemu)
    seen = output(python, "-I", "-c", "import platform, sys; print(platform.machine(), sys.executable)")
    assert seen == f"aarch64 {python}", seen
    kit = work / "kit"
    if not (kit / install.LOCK).exists():
        (work / "constraints.txt").write_text(f"onnxruntime=={ONNXRUNTIME}\n", encoding="ascii")
        os.environ["PIP_CONSTRAINT"] = str(work / "constraints.txt")
        make.make(kit, Device("3.11", "aarch64", "2.36"))
    root = work / "device"
    shutil.rmtree(root, ignore_errors=True)
    timed("installed", python, "-I", str(kit / "install.py"), str(root))
    home = next((root / "runtimes").glob("*/complete")).parent
    done = json.loads(
        timed("deployed", str(root / "bin/edgevoice"), "deploy", str(bundle), str(root), "--json")
    )
    print("self-test:", done["report"])
    assert done["report"]["problems"] == []
    assert all(path.read_bytes()[18:20] == b"\xb7\x00" for path in home.rglob("*.so")), "not all is aarch64"
    return compare(work, bundle, root)


def compare(work: Path, bundle: Path, root: Path) -> int:
    there, here = work / "aarch64.wav", work / f"{platform.machine()}.wav"
    timed("spoke", str(root / "bin/edgevoice"), "say", "--voice", str(root), TEXT, "-o", str(there))
    output(
        str(Path(sys.executable).with_name("edgevoice")), "say", "--voice", str(bundle), TEXT, "-o", str(here)
    )
    one, other = (soundfile.read(path)[0] for path in (there, here))
    assert len(one) == len(other), (len(one), len(other))
    difference = float(np.abs(one - other).max())
    print(f"{len(one)} samples, peak {np.abs(one).max():.3f}, largest difference {difference:.2e}")
    print("1 passed, 0 failed" if difference <= TOLERANCE else f"0 passed, 1 failed: above {TOLERANCE}")
    return int(difference > TOLERANCE)


def system(folder: Path, qemu: str) -> str:
    """A Python for arm64 out of Debian's packages; nothing of this machine's own apt is touched."""
    python = folder / "usr/bin/python3.11"
    if python.exists():
        return str(python)
    state = folder.with_name("apt")
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    apt = ["apt-get", "-qq", "-o", f"Dir::State={state}", "-o", f"Dir::State::lists={state}/lists"]
    apt += [
        "-o",
        f"Dir::State::status={state}/status",
        "-o",
        f"Dir::Cache={state}",
        "-o",
        "APT::Architecture=arm64",
    ]
    apt += ["-o", "APT::Architectures=arm64", "-o", "APT::Sandbox::User=", "-o", "APT::Default-Release="]
    output(*apt, "update")
    output(*apt, "download", *(f"{name}:arm64" for name in PACKAGES), cwd=state)
    for package in sorted(state.glob("*.deb")):
        output("dpkg-deb", "-x", str(package), str(folder))
    python.rename(python.with_name("python3.11.arm64"))
    python.write_text(WRAPPER.format(qemu=qemu, system=folder), encoding="utf-8")
    python.chmod(0o755)
    return str(python)


def timed(what: str, *command: str) -> str:
    start = time.monotonic()
    said = output(*command)
    print(f"{what} in {time.monotonic() - start:.0f} s", flush=True)
    return said


def output(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=SECONDS,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        said = f"{done.stdout[-999:]}\n{done.stderr[-999:]}"
        sys.exit(f"{' '.join(command[:6])} ended with {done.returncode}:\n{said}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
