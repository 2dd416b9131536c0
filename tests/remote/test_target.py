"""What is a host and what is a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevoice.errors import EdgevoiceError
from edgevoice.remote.ssh import Ssh, command
from edgevoice.remote.target import Host, parse


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("me@orin", Host("me@orin", "edgevoice")),
        ("me@orin:", Host("me@orin", "edgevoice")),
        ("me@orin:/opt/voice/", Host("me@orin", "/opt/voice")),
        ("me@orin:voice", Host("me@orin", "voice")),
        ("me@orin:~/voice", Host("me@orin", "voice")),
        ("me@10.0.0.7:/opt/a b", Host("me@10.0.0.7", "/opt/a b")),
        ("me@[fe80::1%eth0]:/opt/voice", Host("me@fe80::1%eth0", "/opt/voice")),
        ("ssh://orin", Host("orin", "edgevoice")),
        ("ssh://me@orin:2222/opt/voice", Host("me@orin", "/opt/voice", 2222)),
        ("ssh://me@orin/~/voice", Host("me@orin", "voice")),
        ("ssh://[::1]:22/x", Host("::1", "/x", 22)),
        ("/opt/me@orin", None),
        ("./me@orin", None),
        ("build/demo/device", None),
        ("device", None),
        ("c:", None),
    ],
)
def test_parse(target: str, host: Host | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c:").mkdir()
    assert parse(target) == host


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("orin:/opt/voice", r"may be a host or a folder: write USER@orin:/opt/voice or ssh://orin/opt/voice"),
        ("orin:voice", r"ssh://orin/~/voice for the host, \./orin:voice for the folder"),
        ("me@", "names no host"),
        ("@orin", "names no host"),
        ("me@-oProxyCommand=x", "names no host"),
        ("-oProxyCommand=x@orin", "names no host"),
        ("me@or in", "names no host"),
        ("ssh://me:secret@orin/x", "without a password"),
        ("ssh://me@orin:70000/x", "no port 70000"),
        ("ssh://", "is no address"),
        ("me@orin:/", "a folder of its own"),
        ("me@orin:~other/voice", "a folder of its own"),
        ("me@orin:/opt/\nvoice", "cannot be printed"),
        ("both@once", "there is such a folder"),
    ],
)
def test_unclear(target: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both@once").mkdir()
    with pytest.raises(EdgevoiceError, match=message):
        parse(target)


def test_ssh_never_asks_and_the_users_options_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = command(Host("me@orin", "voice", 22), Ssh(("ConnectTimeout=1",), 2222, "/opt/my python"))
    assert words[0] == str(program)
    assert words.index("ConnectTimeout=1") < words.index("ConnectTimeout=20")
    assert "BatchMode=yes" in words
    assert words[words.index("-p") + 1] == "2222"
    assert words[-3:-1] == ["--", "me@orin"]
    assert words[-1].startswith("'/opt/my python' -I -c '")


def test_without_ssh_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EdgevoiceError, match="ssh is missing here"):
        command(Host("me@orin"), Ssh())
