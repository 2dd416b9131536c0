from __future__ import annotations

from pathlib import Path

import pytest

from compress import recipe
from edgevoice.errors import EdgevoiceError


@pytest.mark.parametrize("name", recipe.names())
def test_every_shipped_recipe_loads(name: str) -> None:
    assert recipe.load(name).name == name


def test_a_users_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[quantize]\nmethod = "mse"\n[gate]\nlog_mel_l1 = 0.2\n')
    mine = recipe.load(str(file))
    assert mine.quantize is not None
    assert (mine.quantize.method, mine.thresholds().log_mel_l1) == ("mse", 0.2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "x"\ncolour = 1\n', "colour"),
        ('name = "x"\n[quantize]\nmethods = "mse"\n', "methods"),
        ('name = "x"\n[quantize]\nmethod = "best"\n', "best"),
        ('name = "x"\n[gate]\nloudness = 1\n', "loudness"),
        ('name = "x"\n[chunks]\nfirst = "short"\n', "first"),
        ('name = "x"\n[chunks]\nfirst = 0\n', "first"),
        ('name = "x"\n[chunks]\nfirst = 64\nlong = 32\n', "long"),
        ('name = "x"\n[quantize]\nstages = ["mixer"]\n', "mixer"),
        ("[quantize]\nlimit = -1.0\n", "limit"),
        ("[quantize]\nlimit = nan\n", "limit"),
        ("[quantize]\nsearch_seconds = -1\n", "search_seconds"),
        ("name = \n", "mine.toml"),
        ("name = '\udcff'\n", "mine.toml"),
        ("a = " + 50_000 * "[" + 50_000 * "]", "mine.toml is nested too deeply"),
        ("[a" + 5_000 * ".a" + "]\n", "mine.toml"),
        ("[gate]\nlog_mel_l1 = " + 50_000 * "{a = " + 50_000 * "}", "mine.toml is nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(EdgevoiceError) as refusal:
        recipe.load(str(file))
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_unknown_names_list_the_known(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="quantize"):
        recipe.load("quantise")
    with pytest.raises(EdgevoiceError, match="does not exist"):
        recipe.load(str(tmp_path / "none.toml"))


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    for name, method in (("a", "mse"), ("b", "entropy")):
        (tmp_path / f"{name}.toml").write_text(f'name = "mine"\n[quantize]\nmethod = "{method}"\n')
    first, second = (recipe.load(str(tmp_path / f"{name}.toml")) for name in ("a", "b"))
    assert first.sha256() != second.sha256()
