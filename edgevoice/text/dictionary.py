"""English words and how they are said: a sorted file, searched where it lies, and what derives from it."""

from __future__ import annotations

import bisect
import mmap
from pathlib import Path
from typing import Protocol

import numpy as np

from edgevoice.errors import EdgevoiceError
from edgevoice.text.guess import Guesser
from edgevoice.text.sounds import assimilate, decode, is_vowel

DATA = Path(__file__).with_name("data")
WORDS = "en-us.words"
LETTERS = "en-us.letters.npz"

_HISSES = frozenset(("s", "z", "ʃ", "ʒ", "tʃ", "dʒ"))
_VOICELESS = frozenset(("p", "t", "k", "f", "θ", "s", "ʃ", "tʃ"))
_BLOCK = 8192  # bytes between the words of the index
_CACHED = 4096


class Lookup(Protocol):
    """What has the symbols of words: the dictionary file, or the builder's words before there is one."""

    def get(self, word: str, /) -> list[str] | None: ...


class Dictionary:
    """Words of the file alone: a line of notice, then ``word TAB code`` lines sorted by bytes.

    The file is mapped, so only the pages that a look-up touches take memory.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise EdgevoiceError(f"the English dictionary {path} cannot be read: {error}") from None
        self._starts: list[int] = []
        self._firsts: list[bytes] = []
        for at in range(0, len(self._lines), _BLOCK):
            start = self._lines.find(b"\n", at)
            tab = self._lines.find(b"\t", start)
            if 0 <= start < tab:
                self._starts.append(start)
                self._firsts.append(self._lines[start + 1 : tab])

    def get(self, word: str, /) -> list[str] | None:
        """Symbols of ``word`` (lower case), or None."""
        key = word.encode()
        block = bisect.bisect_right(self._firsts, key) - 1
        if block < 0:
            return None
        until = self._starts[block + 1] if block + 1 < len(self._starts) else len(self._lines)
        found = self._lines.find(b"\n" + key + b"\t", self._starts[block], until + 1)
        if found < 0:
            return None
        start = found + len(key) + 2
        return decode(self._lines[start : self._lines.find(b"\n", start)].decode())

    def __contains__(self, word: str) -> bool:
        return self.get(word) is not None


class Pronouncer:
    """Every word of letters and apostrophes: from the dictionary, derived from it, or guessed."""

    def __init__(self, folder: Path = DATA) -> None:
        self.dictionary = Dictionary(folder / WORDS)
        self._folder = folder
        self._guesser: Guesser | None = None
        self._cache: dict[str, list[str]] = {}

    def say(self, word: str) -> list[str]:
        """Symbols of ``word``, lower case, which holds at least one letter a to z. Never empty."""
        said = self._cache.get(word)
        if said is None:
            said = self.known(word) or self.guess(word)
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[word] = said
        return said

    def known(self, word: str) -> list[str] | None:
        """The word itself, or a form of a word in the dictionary.

        Cutting a word into two known ones was tried: it got one symbol in six wrong, the model one in twelve.
        """
        return self.dictionary.get(word) or inflected(word, self.dictionary)

    def guess(self, word: str) -> list[str]:
        if self._guesser is None:  # unknown words are rare: most processes never load it
            self._guesser = load_guesser(self._folder / LETTERS)
        return self._guesser(word)


def load_guesser(path: Path) -> Guesser:
    """Weights are int8 with one scale a column; biases and scales are float32."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise EdgevoiceError(f"the English letter table {path} cannot be read: {error}") from None
    labels = [str(label) for label in arrays.pop("labels")]
    weights = {}
    for name, values in arrays.items():
        if not name.endswith(".scale"):
            scale = arrays.get(f"{name}.scale")
            weights[name] = values.astype(np.float32) * (1 if scale is None else scale)
    return Guesser(weights, labels)


def inflected(word: str, words: Lookup) -> list[str] | None:
    """Plurals, possessives, "-ed" and "-ing" of a word in the dictionary."""
    if word.endswith("'s"):
        base = words.get(word[:-2]) or inflected(word[:-2], words)
        return with_s(base) if base else None
    if word.endswith("'"):
        return words.get(word[:-1]) or inflected(word[:-1], words)
    if word.endswith("s") and not word.endswith("ss"):
        base = _base(words, (word[:-1], word[:-2] * word.endswith("es"), _y(word, "ies")))
        return with_s(base) if base else None
    if word.endswith("ed"):
        return _with_ed(_base(words, (word[:-1], word[:-2], _single(word[:-2]), _y(word, "ied"))), word)
    if word.endswith("ing"):
        base = _base(words, (word[:-3], word[:-3] + "e", _single(word[:-3])))
        return assimilate([*base, "ɪ", "ŋ"], word) if base else None
    return None


def _base(words: Lookup, spellings: tuple[str, ...]) -> list[str] | None:
    for spelling in spellings:
        if len(spelling) > 1:
            said = words.get(spelling)
            if said and any(map(is_vowel, said)):
                return said
    return None


def _y(word: str, ending: str) -> str:
    """ "cities" comes from "city"."""
    return word[: -len(ending)] + "y" if word.endswith(ending) else ""


def _single(stem: str) -> str:
    """ "stopped" comes from "stop"."""
    return stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else ""


def with_s(base: list[str]) -> list[str]:
    """The sound of a plural or possessive s."""
    if base[-1] in _HISSES:
        return [*base, "ᵻ", "z"]
    return [*base, "s" if base[-1] in _VOICELESS else "z"]


def _with_ed(base: list[str] | None, word: str) -> list[str] | None:
    if not base:
        return None
    if base[-1] in ("t", "d"):
        return assimilate([*base, "ᵻ", "d"], word)
    return [*base, "t" if base[-1] in _VOICELESS else "d"]
