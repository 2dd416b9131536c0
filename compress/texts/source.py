"""What the teacher is made to say: our own mix of sentences, or any text file of the user's."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from compress.texts.generate import everyday
from edgevoice.errors import EdgevoiceError

HERE = Path(__file__).parent
EVERYDAY_SHARE = 0.45
LARGEST_FILE = 64 << 20
"""Bytes: a million sentences."""


def _lines(path: Path) -> list[str]:
    try:
        with open(path, "rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)  # a device has no size, and may never end
        if len(raw) > LARGEST_FILE:
            raise EdgevoiceError(f"{path} has more than {LARGEST_FILE >> 20} MiB: give fewer sentences")
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EdgevoiceError(
            f"cannot read {path} as UTF-8 text ({error}); give a file with one sentence a line"
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def held_out() -> list[str]:
    """The evaluation sentences, which `training` never yields."""
    return _lines(HERE / "held_out.txt")


def from_file(path: Path) -> list[str]:
    """The sentences of a user's file, one a line; an empty file is an `EdgevoiceError`."""
    sentences = _lines(path)
    if not sentences:
        raise EdgevoiceError(f"{path} holds no sentence; give a file with one sentence a line")
    return sentences


def training(seed: int = 1) -> Iterator[str]:
    """Endless training sentences, the same for a seed: prose, while it lasts, mixed with generated ones."""
    rng = random.Random(seed)
    prose = _lines(HERE / "austen.txt") + _lines(HERE / "factbook.txt")
    rng.shuffle(prose)
    generated = everyday(seed)
    hidden = set(held_out())
    while True:
        use_prose = prose and rng.random() >= EVERYDAY_SHARE
        sentence = prose.pop() if use_prose else next(generated)
        if sentence not in hidden:
            yield sentence


def revision() -> str:
    """A short hash of everything that `training` draws from: other texts, other labels."""
    digest = hashlib.sha256()
    for name in ("austen.txt", "factbook.txt", "held_out.txt", "everyday.grammar"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:12]
