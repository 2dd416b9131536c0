"""The Ansible role against three devices on the loopback: check mode, first and second run, a failing device.

The runs share their devices and have an order: one costs seconds, and a device for each would cost minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from deploy.deploy_bundles import name_of
from fleet.hosts import Host, device, find_sshd, known_hosts
from signing.signing_keys import make_key, public_of

from edgevoice import bundle
from edgevoice.deploy.local import resolve
from edgevoice.manifest import Manifest
from edgevoice.pack.make import pack
from edgevoice.signing.sign import sign
from edgevoice.signing.trust import known, revoke, trust

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN_SECONDS = 600


@dataclass(frozen=True)
class Fleet:
    """``work`` is the workstation's folder; ``key`` the workshop's."""

    work: Path
    hosts: list[Host]
    key: Path

    def pack(self, source: Path) -> tuple[Path, str]:
        """A signed pack of the tiny voice, and its release."""
        made = bundle.read(source)
        manifest: Manifest = msgspec.structs.replace(
            made.manifest,
            text=msgspec.structs.replace(made.manifest.text, phonemizers=["lexicon"]),
        )
        folder = self.work / "first"
        bundle.write(folder, manifest, {file: made.file(file) for file in manifest.files})
        sign(folder, self.key, 1)
        return pack(folder, self.work / "first.edgevoice").path, name_of(folder)

    def play(self, file: Path, *words: str, **variables: object) -> Played:
        """Run the playbook; whatever it starts is gone afterwards."""
        told = {"edgevoice_pack": str(file), **variables}
        command = [str(PLAYBOOK), "-i", str(self.work / "inventory.json"), str(ROOT / "fleet" / "deploy.yml")]
        with open(self.work / "output", "w+b") as output:
            process = subprocess.Popen(
                [*command, "-e", json.dumps(told), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
                cwd=self.work,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout=RUN_SECONDS)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=60)
            output.seek(0)
            said = output.read().decode(errors="replace")
        return Played(status, said)

    def _environment(self) -> dict[str, str]:
        options = {
            "ControlMaster": "no",
            "ControlPath": "none",
            "UserKnownHostsFile": self.work / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentityFile": self.work / "login",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
        }
        words = [
            "-F",
            "none",
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        ]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {
            **kept,
            "ANSIBLE_CONFIG": str(ROOT / "fleet" / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.work / "ansible"),
            "ANSIBLE_SSH_ARGS": shlex.join(words),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONWARNINGS": "ignore",
        }


@dataclass(frozen=True)
class Played:
    status: int
    said: str

    def recap(self, name: str) -> dict[str, int]:
        line = re.search(rf"^{name} +: (.*)$", self.said, re.M)
        assert line, self.said
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line[1])}

    def report(self, name: str) -> dict[str, object]:
        text = self.said.partition("CUSTOM STATS")[2]
        found = re.search(rf"^\t{name}: ", text, re.M)
        assert found, self.said
        report: dict[str, object] = json.JSONDecoder().raw_decode(text[found.end() :])[0]
        return report


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not PLAYBOOK.exists():
        pytest.skip("ansible is not installed: pip install 'edgevoice[fleet]'")
    if find_sshd() is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here: apt install openssh-server")
    work = tmp_path_factory.mktemp("fleet")
    login, key = make_key(work / "login"), make_key(work / "voice-key")
    with contextlib.ExitStack() as running:
        hosts = [running.enter_context(device(name, work, login)) for name in ("one", "two", "three")]
        (work / "known_hosts").write_text(known_hosts(hosts))
        for host in hosts:
            host.command.write_text(launcher())
            host.command.chmod(0o755)
        variables = {host.name: host.variables(sys.executable) for host in hosts}
        variables["two"]["edgevoice_trusted_keys"] = [str(key.with_suffix(".pub"))]
        inventory = {
            "edgevoice": {
                "hosts": variables,
                "vars": {"edgevoice_workstation_command": str(hosts[0].command)},
            }
        }
        (work / "inventory.json").write_text(json.dumps(inventory))
        yield Fleet(work, hosts, key)


def launcher() -> str:
    code = "import sys; sys.argv[0] = 'edgevoice'; from edgevoice.cli import main; main()"
    python, path = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    return f'#!/bin/sh\nOMP_NUM_THREADS=1 PYTHONPATH={path} exec {python} -c {shlex.quote(code)} "$@"\n'


def speaks(host: Host) -> str:
    return resolve(host.root).name


def test_a_voice_reaches_many_devices_and_stops_at_the_first_that_fails(
    fleet: Fleet, tiny_bundle: Path
) -> None:
    one, two, three = fleet.hosts
    first, release = fleet.pack(tiny_bundle)

    looked = fleet.play(first, "--check", "--limit", "one")
    assert looked.status == 0, looked.said
    assert looked.recap("one")["changed"] == 1
    assert not one.root.exists()
    assert not (one.home / "upload").exists()

    together = {"edgevoice_batches": "100%"}
    played = fleet.play(first, **together)
    assert played.status == 0, played.said
    for host in fleet.hosts:
        assert speaks(host) == release
        assert played.recap(host.name)["changed"] == (
            3 if host is two else 2
        )  # copied, installed, key trusted
        assert played.report(host.name) == {
            "pack": "first.edgevoice",
            "release": release,
            "before": "nothing",
            "installed": True,
            "problem": "",
        }
        assert not (host.home / "upload").exists()
    assert [row.fingerprint for row in known(two.root)] == [public_of(fleet.key).fingerprint]

    again = fleet.play(first, **together)
    assert again.status == 0, again.said
    for host in fleet.hosts:
        assert again.recap(host.name)["changed"] == 0, again.said
        assert again.report(host.name)["installed"] is False

    # The second device trusts another workshop now: it refuses, and the third is left alone.
    trust(two.root, public_of(make_key(fleet.work / "stranger")))
    revoke(two.root, public_of(fleet.key), force=True)
    stopped = fleet.play(first, edgevoice_batches=[1], edgevoice_trusted_keys=[])
    assert stopped.status != 0
    assert (stopped.recap("one")["failed"], stopped.recap("two")["failed"]) == (0, 1)
    assert re.search(r"^three +:", stopped.said, re.M) is None
    assert "was revoked" in str(stopped.report("two")["problem"])
    assert [stopped.report(name)["installed"] for name in ("one", "two")] == [False, False]
    assert os.readlink(two.root / "current") == f"releases/{release}"
    assert not (two.home / "upload").exists()

    private = fleet.play(first, "--limit", "three", edgevoice_trusted_keys=[str(fleet.key)])
    assert private.status != 0
    assert f"{fleet.key} is no Ed25519 public key" in private.said
    assert "PRIVATE" not in private.said
    assert (private.recap("three")["ok"], speaks(three)) == (
        1,
        release,
    )  # the variables' names were looked at
