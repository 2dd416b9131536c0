"""A deploy over SSH while a service speaks there: it takes up release and runtime, or speaks as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy.deploy_bundles import name_of
from remote.conftest import Device
from remote.fake_kit import make_kit
from remote.sshd import Server
from serve.conftest import named
from serve.running import running

from edgevoice.errors import EdgevoiceError
from edgevoice.remote import inspect
from edgevoice.remote.deploy import Options

# The process becomes what a unit would start.
LAUNCH = """
import os, sys
os.execv(sys.argv[2] + "/bin/edgevoice", ["edgevoice", *sys.argv[1:]])
"""
# The service ends at its first request with the voice called doomed.
DOOMED = """
_step = Job.step
def _die(self):
    if self.voice.bundle.manifest.voice.name == "doomed":
        import os
        os._exit(7)
    _step(self)
Job.step = _die
"""
BRIEF = ["--health", "0.3"]


def kit_of(folder: Path, mark: str) -> Options:
    kit = make_kit(folder / mark, mark=mark, light=False, more={"edgevoice/serve/jobs.py": DOOMED})
    return Options(kit=str(kit), arguments=BRIEF)


def runtime_of(pid: int) -> str:
    """The name of the runtime that a process was started from."""
    program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    return Path(program).parents[1].name


@pytest.mark.timeout(600)  # two runtimes, four deploys
def test_it_takes_up_release_and_runtime_or_speaks_as_before(
    server: Server, scratch: Path, tiny_bundle: Path
) -> None:
    one, two, doomed = (named(tiny_bundle, scratch / name) for name in ("one", "two", "doomed"))
    device = Device(scratch / "root", server, Path())
    before = device.deploy(one, kit_of(scratch, "before"))
    with running(device.root, "--threads", 1, before=LAUNCH, supervised=True) as service:
        assert runtime_of(service.status().pid) == before.runtime

        after = device.deploy(two, kit_of(scratch, "after"))
        found = service.status()
        assert (found.release, found.problem) == (name_of(two), "")
        assert runtime_of(found.pid) == after.runtime != before.runtime

        with pytest.raises(EdgevoiceError) as failed:
            device.deploy(doomed, Options(keep_runtime=True, arguments=BRIEF))
        assert "the new release failed in the service: " in str(failed.value)
        assert f"release {name_of(two)} speaks again" in str(failed.value)
        assert device.speaks() == service.status().release == name_of(two)
        assert service.say("Hello.")

        inspect.run(server.host(device.root), server.ssh(), "rollback")
        found = service.status()
        assert device.speaks() == found.release == name_of(one)
        assert runtime_of(found.pid) == before.runtime
        assert service.say("Hello.")
