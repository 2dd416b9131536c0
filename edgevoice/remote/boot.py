"""The text that becomes the agent in the device's own Python."""

from __future__ import annotations

from importlib.resources import files

PACKAGES = ("edgevoice", "edgevoice.kit", "edgevoice.remote", "edgevoice.remote.agent")
MODULES = (
    "edgevoice.kit.install",
    "edgevoice.remote.agent.facts",
    "edgevoice.remote.agent.store",
    "edgevoice.remote.agent.loop",
)

# For any login shell: no single quote, dollar, backtick, backslash or exclamation mark.
COMMAND = (
    "import sys; sys.version_info >= (3, 8) or sys.exit("
    '"edgevoice: Python " + sys.version.split()[0] + " is too old"); '
    's = sys.stdin.buffer; exec(compile(s.read(int(s.readline())), "agent", "exec"))'
)

_LOADER = """
import importlib.abc, importlib.util, sys

class Sent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in PACKAGES or name in SOURCES:
            return importlib.util.spec_from_loader(name, self, is_package=name in PACKAGES)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        exec(compile(SOURCES.get(name, ""), name, "exec"), module.__dict__)

sys.meta_path.insert(0, Sent())
from edgevoice.remote.agent.loop import main
main()
"""


def text() -> bytes:
    """What is written to the session first: a length in a line of its own, then that many bytes of Python."""
    sources = {name: source(name) for name in MODULES}
    code = f"PACKAGES = {PACKAGES!r}\nSOURCES = {sources!r}\n{_LOADER}".encode()
    return b"%d\n" % len(code) + code


def source(module: str) -> str:
    package, _, name = module.rpartition(".")
    return (files(package) / f"{name}.py").read_text(encoding="utf-8")
