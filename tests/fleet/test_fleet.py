"""The Ansible role against three devices on the loopback: check mode, first and second run, a failing device.

A run costs seconds, so there are eight.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from deploy.deploy_bundles import content, make, name_of
from fleet.hosts import Host, device, known_hosts
from remote import fake_kit, sshd
from serve.running import die_with_us
from signing.signing_keys import make_key, public_of, signed

from edgevoice import bundle
from edgevoice.deploy.local import deploy, resolve
from edgevoice.manifest import Manifest
from edgevoice.pack.make import pack
from edgevoice.signing.sign import sign
from edgevoice.signing.trust import known, trust

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
RUN_SECONDS = 240


@dataclass(frozen=True)
class Fleet:
    """``work``: the workstation's folder, with a pack. ``bundle``: what was packed, signed with ``key``."""

    work: Path
    hosts: list[Host]
    key: Path
    bundle: Path
    release: str

    def play(self, case: str, *words: str, **variables: object) -> Played:
        """Run the playbook on the devices' folders named ``case``; whatever it starts is gone afterwards."""
        told = {"edgevoice_pack": str(self.work / "voice.edgevoice"), "case": case, **variables}
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
                preexec_fn=die_with_us,
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
def fleet(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    if not PLAYBOOK.exists():
        pytest.skip("ansible is not installed: pip install 'edgevoice[fleet]'")
    sshd.program()
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
        bundled = lexicon(tiny_bundle, work / "bundle")
        sign(bundled, key, 1)
        pack(bundled, work / "voice.edgevoice")
        yield Fleet(work, hosts, key, bundled, name_of(bundled))


def lexicon(source: Path, target: Path) -> Path:
    """The voice with the phonemizer that every install has."""
    made = bundle.read(source)
    text = msgspec.structs.replace(made.manifest.text, phonemizers=["lexicon"])
    manifest: Manifest = msgspec.structs.replace(made.manifest, text=text)
    return bundle.write(target, manifest, {name: made.file(name) for name in manifest.files}).path


def launcher() -> str:
    code = "import sys; sys.argv[0] = 'edgevoice'; from edgevoice.cli import main; main()"
    python, path = shlex.quote(sys.executable), shlex.quote(str(ROOT))
    return f'#!/bin/sh\nOMP_NUM_THREADS=1 PYTHONPATH={path} exec {python} -c {shlex.quote(code)} "$@"\n'


def test_check_mode_changes_nothing(fleet: Fleet) -> None:
    looked = fleet.play("check", "--check", "--limit", "one")
    assert looked.status == 0, looked.said
    assert looked.recap("one")["changed"] == 1  # it would copy
    one = fleet.hosts[0]
    assert not one.root("check").exists()
    assert not (one.home / "upload").exists()


def test_a_first_run_installs_and_a_second_changes_nothing(fleet: Fleet) -> None:
    played = fleet.play("runs", edgevoice_batches="100%")
    assert played.status == 0, played.said
    for host in fleet.hosts:
        assert resolve(host.root("runs")).name == fleet.release
        assert played.recap(host.name)["changed"] == (3 if host.name == "two" else 2)  # copy, install, trust
        assert played.report(host.name) == {
            "pack": "voice.edgevoice",
            "release": fleet.release,
            "before": "nothing",
            "installed": True,
            "problem": "",
        }
        assert not (host.home / "upload").exists()
    assert [row.fingerprint for row in known(fleet.hosts[1].root("runs"))] == [
        public_of(fleet.key).fingerprint
    ]

    again = fleet.play("runs", edgevoice_batches="100%")
    assert again.status == 0, again.said
    for host in fleet.hosts:
        assert again.recap(host.name)["changed"] == 0, again.said
        assert again.report(host.name)["installed"] is False


def test_the_first_failure_stops_and_the_rest_is_left_alone(fleet: Fleet, tmp_path: Path) -> None:
    """The second device trusts another workshop: it refuses, its old voice stays."""
    roots = [host.root("stops") for host in fleet.hosts]
    stranger, old = make_key(tmp_path / "stranger"), make(tmp_path, "old", size=500)
    sign(old, stranger)
    for root, source in zip(roots, (fleet.bundle, old, old), strict=True):
        deploy(source, root, self_test=content)
    trust(roots[1], public_of(stranger))
    stopped = fleet.play("stops", edgevoice_batches=[1], edgevoice_trusted_keys=[])
    assert stopped.status != 0
    assert [resolve(root).name for root in roots] == [fleet.release, name_of(old), name_of(old)]
    assert (stopped.recap("one")["failed"], stopped.recap("two")["failed"]) == (0, 1)
    assert re.search(r"^three +:", stopped.said, re.M) is None
    assert "does not trust" in str(stopped.report("two")["problem"])
    assert [stopped.report(name)["installed"] for name in ("one", "two")] == [False, False]
    assert not (fleet.hosts[1].home / "upload").exists()


def test_a_private_key_is_refused_before_anything_is_sent(fleet: Fleet) -> None:
    three = fleet.hosts[2]
    before = (three.home / "log").read_text()
    refused = fleet.play("private", "--limit", "three", edgevoice_trusted_keys=[str(fleet.key)])
    assert refused.status != 0
    assert f"{fleet.key} is no Ed25519 public key" in refused.said
    assert "PRIVATE" not in refused.said
    assert (three.home / "log").read_text() == before


@pytest.mark.timeout(600)  # three runs
def test_a_bare_device_gets_its_runtime_from_the_pack(fleet: Fleet, tmp_path: Path) -> None:
    """Nothing but Python is there, so a pack without a runtime is refused, by check mode too."""
    root, limit = fleet.hosts[2].root("bare"), ("--limit", "three")
    told = {
        "edgevoice_command": "{{ edgevoice_root }}/bin/edgevoice",
        "edgevoice_python": fake_kit.base_python(),
        "edgevoice_trusted_keys": [str(fleet.key.with_suffix(".pub"))],
    }
    refused = fleet.play("bare", *limit, "--check", **told)
    assert refused.status != 0
    assert "the pack carries no runtime" in str(refused.report("three")["problem"])

    one, two = (signed(tmp_path, f"voice{number}", fleet.key, number, vocoder=number) for number in (1, 2))
    kit = fake_kit.make_kit(tmp_path / "kit", light=False)
    first = fleet.play("bare", *limit, edgevoice_pack=str(pack(one, tmp_path / "one", kit).path), **told)
    assert first.status == 0, first.said
    assert first.recap("three")["changed"] == 3  # copy, install, trust
    assert resolve(root).name == name_of(one)
    assert [row.trusted for row in known(root)] == [True]

    later = fleet.play("bare", *limit, edgevoice_pack=str(pack(two, tmp_path / "two").path), **told)
    assert later.status == 0, later.said
    assert later.report("three")["before"] == name_of(one)
    assert resolve(root).name == name_of(two)
