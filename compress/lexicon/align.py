"""Which letter says which sound: a monotone alignment of spelling and phones, learnt by hard EM.

Each letter says no, one or two phones ("x" says K S, the second letter of "ph" says nothing).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

Phones = tuple[str, ...]
Chunks = list[Phones]
Costs = Mapping[tuple[str, Phones], float]

LONGEST = 2
_UNSEEN = 12.0


def learn(words: Sequence[tuple[str, Phones]], rounds: int = 6) -> dict[tuple[str, Phones], float]:
    """Cost (negative log probability) of a letter saying a chunk, from a flat start."""
    costs: dict[tuple[str, Phones], float] = {}
    for turn in range(rounds):
        counts: Counter[tuple[str, Phones]] = Counter()
        for word, phones in words:
            chunks = align(word, phones, costs, first=turn == 0)
            if chunks:
                counts.update(zip(word, chunks, strict=True))
        totals: Counter[str] = Counter()
        for (letter, _), count in counts.items():
            totals[letter] += count
        costs = {key: -math.log(count / totals[key[0]]) for key, count in counts.items()}
    return costs


def align(word: str, phones: Phones, costs: Costs, first: bool = False) -> Chunks | None:
    """The cheapest chunk for each letter, or None if the word has too few letters for its phones.

    ``first``: no costs are known yet, so letters and phones are spread evenly.
    """
    bare = tuple(phone.rstrip("012") for phone in phones)
    n, m = len(word), len(phones)
    best = [[math.inf] * (m + 1) for _ in range(n + 1)]
    back = [[0] * (m + 1) for _ in range(n + 1)]
    best[0][0] = 0.0
    for i, letter in enumerate(word):
        for j in range(m + 1):
            here = best[i][j]
            if here == math.inf:
                continue
            for size in range(min(LONGEST, m - j) + 1):
                chunk = bare[j : j + size]
                cost = abs(i / n - j / m) if first else costs.get((letter, chunk), _UNSEEN)
                cost += _prior(letter, chunk)
                if here + cost < best[i + 1][j + size]:
                    best[i + 1][j + size] = here + cost
                    back[i + 1][j + size] = size
    if best[n][m] == math.inf:
        return None
    chunks: Chunks = []
    j = m
    for i in range(n, 0, -1):
        size = back[i][j]
        chunks.append(phones[j - size : j])
        j -= size
    return chunks[::-1]


VOWELS = frozenset(("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"))


def _prior(letter: str, chunk: Phones) -> float:
    """What keeps EM from letting consonants say their neighbours' vowels: vowels say vowels, one each."""
    if not chunk:
        return 1.0
    vowel_letter = letter in "aeiouy"
    cost = 0.0 if len(chunk) == 1 else 3.0
    return cost + sum(2.0 for phone in chunk if (phone in VOWELS) != vowel_letter)
