"""The README's snippets run: every ```python and ```sh block, in order, in one folder.

The folder holds the tiny voice's bundle at build/demo/bundle, where `make demo` leaves the real one. Each
block runs in a process of its own, with the edgevoice under test first on PATH. A comment on the line before
a block leaves it out, with its reason in the report:

    <!-- test: skip (needs a loudspeaker) -->
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
RUNNERS = {"python": [sys.executable, "-c"], "sh": ["sh", "-euc"]}
NOT_RUN = {"text", "json", "toml", "yaml", "proto"}

_OPEN = re.compile(r"```(\w*)$")
_SKIP = re.compile(r"<!-- test: skip \((.+)\) -->$")


@dataclass(frozen=True)
class Snippet:
    line: int
    language: str
    code: str
    skip: str = ""


def snippets(markdown: str) -> Iterator[Snippet]:
    """The runnable blocks of a page. Raises ValueError for a block that no rule covers."""
    lines = iter(enumerate(markdown.splitlines(), start=1))
    skip = ""
    for number, line in lines:
        if opened := _OPEN.match(line):
            code = "\n".join(_until_close(lines, number))
            if opened[1] in RUNNERS:
                yield Snippet(number, opened[1], code, skip)
            elif opened[1] not in NOT_RUN:
                raise ValueError(f"line {number}: write ```sh, ```python or one of {sorted(NOT_RUN)}")
        skip = _reason(number, line)


def _until_close(lines: Iterator[tuple[int, str]], start: int) -> Iterator[str]:
    for _, line in lines:
        if line == "```":
            return
        yield line
    raise ValueError(f"line {start}: the block has no end")


def _reason(number: int, line: str) -> str:
    if not line.startswith("<!-- test:"):
        return ""
    if not (found := _SKIP.match(line)):
        raise ValueError(f"line {number}: write <!-- test: skip (reason) -->")
    return found[1]


@pytest.fixture(scope="module")
def folder(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("readme")
    shutil.copytree(tiny_bundle, root / "build/demo/bundle")
    return root


@pytest.mark.parametrize("snippet", list(snippets(README.read_text("utf-8"))), ids=lambda s: f"line{s.line}")
def test_snippet(snippet: Snippet, request: pytest.FixtureRequest) -> None:
    if snippet.skip:
        pytest.skip(snippet.skip)
    folder = request.getfixturevalue("folder")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [*RUNNERS[snippet.language], snippet.code],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"README.md line {snippet.line}:\n{snippet.code}\n{done.stdout}"


PAGE = """\
```sh
edgevoice --help
```
```text
one
```
<!-- test: skip (no sound card) -->
```sh
edgevoice say hello
edgevoice say again
```
```python
import edgevoice
```
"""


def test_blocks_are_found_with_their_lines_and_reasons() -> None:
    assert list(snippets(PAGE)) == [
        Snippet(1, "sh", "edgevoice --help"),
        Snippet(8, "sh", "edgevoice say hello\nedgevoice say again", "no sound card"),
        Snippet(12, "python", "import edgevoice"),
    ]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```bash\nls\n```\n", "line 1: write ```sh"),
        ("```\nls\n```\n", "line 1: write ```sh"),
        ("\n```sh\nls\n", "line 2: the block has no end"),
        ("<!-- test: skip -->\n```sh\nls\n```\n", r"line 1: write <!-- test: skip \(reason\) -->"),
    ],
)
def test_a_block_that_no_rule_covers_is_refused(page: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(snippets(page))
