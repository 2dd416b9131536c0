"""From phonemes to the ids that a voice was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import EdgevoiceError
from edgevoice.text.clean import speakable

BEGIN, END, PAD = "^", "$", "_"

# Piper's symbols have no dash and no ellipsis. espeak itself takes a dash for a semicolon.
PIPER_REPLACE = (("—", ";"), ("… ", ", "), ("…", "."))

_Row = tuple[str, tuple[int, ...] | None]
"""A symbol and its ids with what follows each; None where the voice does not have it."""


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
        rows = self._rows(phonemes)
        return self._ids(rows), _unknown(rows)

    def encode_parts(self, phonemes: str, most: int) -> tuple[list[NDArray[np.int64]], list[str]]:
        """Like `encode`, but in parts of at most ``most`` ids each (or of one symbol, if that has more).

        Parts end at a space, which is left out, else after a symbol. A part without a letter is left out.
        """
        rows = self._rows(phonemes)
        if len(whole := self._ids(rows)) <= most:
            return [whole], _unknown(rows)
        parts = list(self._cut(rows, max(1, most - len(self.begin) - len(self.end))))
        return [self._ids(part) for part in parts if speakable("".join(symbol for symbol, _ in part))], (
            _unknown(rows)
        )

    def symbols_of(self, ids: Iterable[int]) -> list[str]:
        """The symbol that each id begins, `BEGIN` and `END` among them; "" for ids that begin none, such as
        what stands between symbols."""
        first = {row[0]: symbol for symbol, row in self.symbols.items() if row}
        first |= {number: BEGIN for number in self.begin} | {number: END for number in self.end}
        first |= {number: "" for number in self.between}
        return [first.get(int(number), "") for number in ids]

    def _rows(self, phonemes: str) -> list[_Row]:
        for old, new in self.replace:
            phonemes = phonemes.replace(old, new)
        longest = max(map(len, self.symbols), default=1)
        rows: list[_Row] = []
        at = 0
        while at < len(phonemes):
            size = self._match(phonemes, at, longest)
            symbol = phonemes[at : at + (size or 1)]
            rows.append((symbol, self.symbols[symbol] + self.between if size else None))
            at += size or 1
        return rows

    def _ids(self, rows: Sequence[_Row]) -> NDArray[np.int64]:
        inner = (number for _, ids in rows for number in ids or ())
        return np.array([*self.begin, *inner, *self.end], dtype=np.int64)

    def _cut(self, rows: list[_Row], room: int) -> Iterator[list[_Row]]:
        start = size = 0
        space = None
        for at, (symbol, ids) in enumerate(rows):
            size += len(ids or ())
            if size > room and at > start:
                end = at if space is None or symbol.isspace() else space
                yield rows[start:end]
                start = end + rows[end][0].isspace()
                size = sum(len(ids or ()) for _, ids in rows[start : at + 1])
                space = None
            elif symbol.isspace():
                space = at
        yield rows[start:]

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


def _unknown(rows: Sequence[_Row]) -> list[str]:
    return list(dict.fromkeys(symbol for symbol, ids in rows if ids is None))


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
