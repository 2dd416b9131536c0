"""The agent alone, in a Python that has nothing: what it is made of, what it refuses, how it ends."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploy.deploy_bundles import make, name_of
from remote import fake_kit
from remote.conftest import Device

from edgevoice.kit import install
from edgevoice.remote import boot
from edgevoice.remote.agent.loop import READY

SECONDS = 120.0


class Agent:
    """The process, without a line in between."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [fake_kit.base_python(), "-I", "-c", boot.COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout
        self.requests.write(boot.text())
        self.requests.flush()
        assert self.replies.readline() == b"\n"
        assert self.replies.readline().decode().strip() == READY

    def send(self, do: str, payload: bytes = b"", **words: Any) -> None:
        self.raw(json.dumps({"do": do, "with": words, "payload": len(payload)}).encode() + b"\n" + payload)

    def raw(self, data: bytes) -> None:
        self.requests.write(data)
        self.requests.flush()

    def ask(self, do: str, payload: bytes = b"", **words: Any) -> dict[str, Any]:
        self.send(do, payload, **words)
        found: dict[str, Any] = json.loads(self.replies.readline())
        return found


@pytest.fixture
def agent() -> Iterator[Agent]:
    running = Agent()
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate(timeout=SECONDS)


@pytest.mark.parametrize("module", boot.MODULES)
def test_it_needs_nothing_but_an_old_python(module: str) -> None:
    """Python 3.8 must understand it, to be told that it is too old together with all else that is wrong."""
    tree = ast.parse(boot.source(module), feature_version=(3, 8))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {
                f"{node.module}.{alias.name}" for alias in node.names if node.module.startswith("edgevoice")
            }
            names.add(str(node.module).partition(".")[0])
    known = {*boot.PACKAGES, *boot.MODULES, "edgevoice.remote.agent.store.Store"}
    assert not names - set(sys.stdlib_module_names) - known


def test_its_command_survives_any_login_shell() -> None:
    assert not set(boot.COMMAND) & set("'$`\\!\n")


@pytest.mark.parametrize(
    ("do", "words", "message"),
    [
        ("close", {}, "unknown request"),
        ("__init__", {}, "unknown request"),
        ("keep", {"sha256": "0" * 64}, "no deploy has begun"),
        ("run", {"root": "/nonexistent/voice", "verb": "status", "arguments": []}, "holds no edgevoice"),
        ("begin", {"root": "/proc/1/fd", "wanted": []}, "/proc/1/fd"),
        ("begin", {"root": "/dev/null", "wanted": []}, "is a file"),
        ("facts", {}, "the agent failed"),
    ],
)
def test_it_refuses_in_one_line_and_goes_on(
    agent: Agent, do: str, words: dict[str, Any], message: str
) -> None:
    answer = agent.ask(do, **words)
    assert message in answer["error"]
    assert "\n" not in answer["error"]
    assert "root" in agent.ask("installed", root="/nonexistent")["reply"]


def test_names_and_objects_stay_inside(agent: Agent, tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    agent.ask("begin", root=root, wanted=[])
    for sha256 in ("../../etc/passwd", "A" * 64, "0" * 63):
        assert "no checksum" in agent.ask("put", b"x", sha256=sha256, offset=0)["error"]
    data = b"data"
    sha256 = hashlib.sha256(data).hexdigest()
    assert "reply" in agent.ask("put", data, sha256=sha256, offset=0)
    assert "not 9: deploy again" in agent.ask("put", data, sha256=sha256, offset=9)["error"]
    assert agent.ask("keep", sha256=sha256)["reply"] == {"kept": True}
    answer = agent.ask("install", files={"../kit.json": sha256})
    assert "unsafe file name" in answer["error"]
    assert "is no kit" in agent.ask("install", files={"a.whl": sha256})["error"]


def test_it_ends_with_its_line(agent: Agent) -> None:
    agent.raw(b'{"do": "put", "payload": 1000}\nhalf')
    agent.requests.close()
    assert agent.process.wait(timeout=SECONDS) == 0
    agent.process.stdin = None


def test_what_a_killed_agent_left_running_is_waited_for(agent: Agent, device: Device, tmp_path: Path) -> None:
    """The deploy itself goes on; nobody else may begin one, and whoever asks learns that it is not over."""
    slow = make(tmp_path, "slow", vocoder=4)
    files = {path.name: install.sha256(path) for path in slow.iterdir()}
    agent.ask("begin", root=str(device.root), wanted=list(files.values()))
    for name, sha256 in files.items():
        agent.ask("put", (slow / name).read_bytes(), sha256=sha256, offset=0)
        agent.ask("keep", sha256=sha256)
    agent.send("deploy", files=files, runtime="", arguments=[])
    await_(lambda: (device.root / "staging" / name_of(slow) / "manifest.json").exists())
    agent.process.kill()
    agent.process.wait(timeout=SECONDS)
    other = Agent()
    try:
        assert other.ask("installed", root=str(device.root))["reply"]["root"]["busy"]
        assert "another deploy" in other.ask("begin", root=str(device.root), wanted=[])["error"]
        (device.root / "go").touch()
        await_(lambda: not other.ask("installed", root=str(device.root))["reply"]["root"]["busy"])
    finally:
        other.process.kill()
        other.process.communicate(timeout=SECONDS)
    assert device.speaks() == name_of(slow)


def await_(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
