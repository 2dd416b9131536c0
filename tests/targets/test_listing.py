"""The list of targets that the command line prints."""

from __future__ import annotations

import json

import targets
from targets import listing


def test_every_target_is_listed_with_its_status() -> None:
    rows = {row.id: row for row in targets.table()}
    assert set(rows) == set(targets.names())
    assert rows["cpu"].status == "ok"
    assert rows["agx_xavier_32gb"].status.startswith("refused: Jetson AGX Xavier 32GB is not supported")
    assert rows["thor_t4000"].status == "unconfirmed figures: 3"
    assert rows["cpu"].compute_capability == "-"
    assert rows["orin_nx_16gb"].compute_capability == "8.7"


def test_the_text_is_one_aligned_line_a_target() -> None:
    rows = targets.table()
    lines = listing.text(rows).partition("\n\n")[0].splitlines()
    assert len(lines) == len(rows) + 1
    column = lines[0].index("engine")
    assert all(line[column:].startswith(("tensorrt", "onnxruntime")) for line in lines[1:])


def test_it_fits_80_columns_and_says_why_a_board_is_refused() -> None:
    text = listing.text(targets.table())
    assert max(map(len, text.splitlines())) < 80
    row, why = text.partition("\n\n")[0], text.partition("\nrefused\n")[2].partition("\n\n")[0]
    assert sum(line.endswith("refused") for line in row.splitlines()) == 2
    assert " ".join(why.split()).count("edgevoice needs JetPack 6.1 or newer") == 2


def test_an_unconfirmed_figure_is_marked_and_named() -> None:
    rows = targets.table()
    lines, _, below = listing.text(rows).partition("\n\n")
    marked = {line.split()[0]: line for line in lines.splitlines()}
    assert "64 GiB?" in marked["thor_t4000"]
    assert "8.6?" in marked["rtx_3050_8gb"]
    assert "?" not in marked["t4"]
    unconfirmed = below.partition("unconfirmed")[2]
    assert "memory_gib: thor_t4000, thor_t5000\n" in unconfirmed
    for figure in {figure for target in targets.all_targets() for figure in target.unconfirmed}:
        assert f"  {figure}: " in unconfirmed
    assert "unconfirmed" not in listing.text([listing.row(targets.load("t4"))])


def test_a_row_goes_to_json() -> None:
    row = listing.row(targets.load("t4"))
    back = json.loads(json.dumps(row.to_dict()))
    assert back["id"] == "t4"
    assert back["precisions"] == ["fp16", "int8"]
    assert back["memory_bytes"] == 16 << 30
    assert back["unconfirmed"] == []
