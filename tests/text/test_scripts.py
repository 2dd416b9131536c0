from __future__ import annotations

import pytest

from edgevoice.text import foreign_scripts


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("plain", "en-us", []),
        ("naïve café, Ωhm, 5 µm, π", "en-us", []),
        ("Привет", "en-us", ["Cyrillic"]),
        ("你好", "en", ["Chinese"]),
        ("Ελλάδα", "en-gb", ["Greek"]),
        ("Привет and こんにちは and привет", "de", ["Cyrillic", "Hiragana"]),
        ("مرحبا", "fr-fr", ["Arabic"]),
        ("Привет, world", "ru", []),
        ("你好", "ru", ["Chinese"]),
        ("日本語のテキスト。", "ja", []),
        ("Привет", "cmn", ["Cyrillic"]),
        ("Привет", "xx", []),
        ("ª º ½ ™ — …", "en", []),
    ],
)
def test_scripts_that_a_language_is_not_written_in(text: str, language: str, found: list[str]) -> None:
    assert foreign_scripts(text, language) == found
