"""From phonemes to the ids that a voice was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import EdgevoiceError

BEGIN, END, PAD = "^", "$", "_"

# Piper's symbols have no dash and no ellipsis. espeak itself takes a dash for a semicolon.
PIPER_REPLACE = (("—", ";"), ("… ", ", "), ("…", "."))


class TextTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Symbols to ids, as the voice learnt them.

    ``symbols`` maps a phoneme to its ids; where one symbol begins another the longest match wins.
    ``replace`` is applied in order to the phoneme string before any look-up.
    ``begin`` and ``end`` enclose the ids, ``between`` follows each symbol.
    """

    symbols: dict[str, tuple[int, ...]]
    replace: tuple[tuple[str, str], ...] = ()
    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    between: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if any(not old for old, _ in self.replace) or not all(self.symbols):
            raise ValueError("an empty symbol")
        rows = (*self.symbols.values(), self.begin, self.end, self.between)
        ids = (number for row in rows for number in row)
        if not all(0 <= number < 1 << 20 for number in ids):
            raise ValueError("an id below 0 or above 1,048,575")

    def encode(self, phonemes: str) -> tuple[NDArray[np.int64], list[str]]:
        """Ids int64 [T] of ``phonemes``, and the symbols that the voice does not have, each once.

        Unknown symbols are left out of the ids: a voice that lacks one sound still speaks the others.
        """
        for old, new in self.replace:
            phonemes = phonemes.replace(old, new)
        longest = max(map(len, self.symbols), default=1)
        ids = list(self.begin)
        skipped: dict[str, None] = {}
        at = 0
        while at < len(phonemes):
            size = self._match(phonemes, at, longest)
            if size:
                ids += self.symbols[phonemes[at : at + size]]
                ids += self.between
            else:
                skipped[phonemes[at]] = None
            at += size or 1
        ids += self.end
        return np.array(ids, dtype=np.int64), list(skipped)

    def _match(self, phonemes: str, at: int, longest: int) -> int:
        """Length of the longest symbol at ``at``, 0 if none is known."""
        for size in range(min(longest, len(phonemes) - at), 0, -1):
            if phonemes[at : at + size] in self.symbols:
                return size
        return 0

    def to_dict(self) -> dict[str, Any]:
        """The table as plain JSON types, for ``from_dict``."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TextTable:
        """Raises EdgevoiceError, naming the place, for unknown keys and wrong types."""
        try:
            return msgspec.convert(dict(plain), cls)
        except msgspec.ValidationError as error:
            raise EdgevoiceError(f"the voice's text table is not valid: {error}") from None


def piper_table(
    phoneme_id_map: Mapping[str, int | Sequence[int]], clusters: Iterable[Sequence[str]] = ()
) -> TextTable:
    """The table of a Piper voice, from its JSON's ``phoneme_id_map`` and, if it has them, ``vowel_clusters``.

    Begin is "^" and a pad, a pad follows each symbol, the end is "$". Symbols of several code points are
    matched only where ``clusters`` names them: default maps list diphthongs that most voices never saw whole.
    """
    ids = {key: (ids,) if isinstance(ids, int) else tuple(ids) for key, ids in phoneme_id_map.items()}
    missing = [mark for mark in (BEGIN, END, PAD) if mark not in ids]
    if missing:
        raise EdgevoiceError(f"the voice's phoneme_id_map lacks {' '.join(missing)}: not a Piper voice's map")
    whole = {"".join(cluster) for cluster in clusters}
    symbols = {
        symbol: value
        for symbol, value in ids.items()
        if symbol not in (BEGIN, END, PAD) and (len(symbol) == 1 or symbol in whole)
    }
    replace = tuple(pair for pair in PIPER_REPLACE if pair[0].strip() not in ids)
    return TextTable(symbols, replace, begin=ids[BEGIN] + ids[PAD], end=ids[END], between=ids[PAD])
