"""From the CMU dictionary's phones to espeak-ng's American notation.

The dictionary writes one AH0 where espeak tells ə, ɪ, ᵻ and ɐ apart; the letter behind the vowel decides.
The rules are written by hand, and were checked by eye against what espeak-ng says of frequent words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from compress.lexicon.align import VOWELS, Chunks, Phones
from edgevoice.text.sounds import assimilate, split

_PLAIN = {
    "AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "EH": "ɛ", "ER": "ɜː", "EY": "eɪ",
    "IH": "ɪ", "IY": "iː", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "uː", "B": "b", "CH": "tʃ", "D": "d",
    "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ",
    "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z",
    "ZH": "ʒ",
}  # fmt: skip

_PREFIX = ("d", "r", "b", "pr", "s", "und", "ind", "unr")
_PLURAL = {"Z": ("S", "Z", "SH", "ZH", "CH", "JH"), "D": ("T", "D")}
_FRONT_AFTER = {"b": ("K", "G"), "d": ("T", "V", "Z")}
_SHORT_O = re.compile("o(ng|ss(?!i)|st(?![aei])|ft|ff(?!i)|lt|gg)|alt(?!h)|als(?!o)|aul?t")
_OPEN_AR = re.compile("arr|ar(?!ing|y|ie|ia|io|iu|e|ey)[aeiou]")
_FRONT_E = re.compile("et(s|'s)?$|est")
_OPEN_I = re.compile("it(y|i)|if[iy]|ib(le|il)")
_INITIALS = 4  # words up to this length may be initials, which are stressed on the last letter
_RHYTHM = re.compile("(ives?|ively|ists?|ics?|ids?)$")


@dataclass(frozen=True)
class _Sound:
    phone: str
    stress: str
    letter: str
    rest: str  # the word's letters from this one on
    start: str  # the word's letters before this one

    @property
    def ends(self) -> bool:
        return len(self.rest) == 1

    @property
    def vowel(self) -> bool:
        return self.phone in VOWELS


_NONE = _Sound("", "", "", "", "")


def to_ipa(word: str, phones: Phones, chunks: Chunks | None) -> list[str]:
    """Symbols of one word: each a sound, vowels with their stress mark before them."""
    said = _say(word, _sounds(word, phones, chunks))
    return assimilate([symbol for sound in said for symbol in split(sound)], word)


def by_letter(word: str, phones: Phones, chunks: Chunks) -> list[str]:
    """What each letter says, before `assimilate`: the labels that the letter-to-sound model learns."""
    sounds = _sounds(word, phones, chunks)
    labels = [""] * len(word)
    for sound, said in zip(sounds, _say(word, sounds), strict=True):
        labels[len(sound.start)] += said
    return labels


def _say(word: str, sounds: list[_Sound]) -> list[str]:
    marks = _stress(word, sounds)
    main = next((i for i, mark in enumerate(marks) if mark == "ˈ"), 0)
    out: list[str] = []
    for i, sound in enumerate(sounds):
        before = sounds[i - 1] if i else _NONE
        after = sounds[i + 1] if i + 1 < len(sounds) else _NONE
        if sound.vowel:
            out.append(marks[i] + _vowel(sound, before, after, i < main))
        elif sound.phone == "Y" and sound.letter == "i" and i > 1:  # "million": mˈɪliən
            out.append("i")
        else:
            out.append(_PLAIN[sound.phone])
    return _rhythm(word, sounds, out)


def _sounds(word: str, phones: Phones, chunks: Chunks | None) -> list[_Sound]:
    if chunks is None:
        return [_Sound(phone.rstrip("012"), phone[2:3], "", "", "") for phone in phones]
    sounds: list[_Sound] = []
    for i, chunk in enumerate(chunks):
        for phone in chunk:
            sound = _Sound(phone.rstrip("012"), phone[2:3], word[i], word[i:], word[:i])
            last = sounds[-1] if sounds else _NONE
            if sound.phone == "W" and last.phone == "AH" and "u" in (sound.letter, last.letter):
                sounds[-1] = replace(last, phone="UW")  # "casual": ʒuːəl, not ʒəwəl
            else:
                sounds.append(sound)
    return sounds


def _stress(word: str, sounds: list[_Sound]) -> list[str]:
    """Stress marks by sound: one main stress, and next to it espeak writes no secondary one."""
    vowels = [i for i, sound in enumerate(sounds) if sound.vowel]
    mains = [i for i in vowels if sounds[i].stress == "1"]
    main = (mains or [-1])[-1 if len(word) <= _INITIALS else 0]
    marks = [""] * len(sounds)
    for n, i in enumerate(vowels):
        if i == main:
            marks[i] = "ˈ"
        elif sounds[i].stress == "1":
            marks[i] = "ˌ"
        elif sounds[i].stress == "2" and sounds[i].rest not in ("y", "ing"):
            marks[i] = "" if main in vowels[max(n - 1, 0) : n + 2] else "ˌ"
    return marks


def _rhythm(word: str, sounds: list[_Sound], said: list[str]) -> list[str]:
    """ "-ive", "-ist" and "-ic" two syllables after the main stress bear a secondary one."""
    vowels = [i for i, sound in enumerate(sounds) if sound.vowel]
    weak = [n for n, i in enumerate(vowels) if said[i] == "ɪ"][-1:]
    if not _RHYTHM.search(word) or not weak or weak[0] < 2:
        return said
    two_back, one_back, here = (vowels[weak[0] - k] for k in (2, 1, 0))
    if said[two_back][0] == "ˈ" and said[one_back][0] not in "ˈˌ":
        said[here] = "ˌɪ"
    return said


def _vowel(sound: _Sound, before: _Sound, after: _Sound, pre: bool) -> str:
    """The vowel without its mark; ``pre``: it stands before the main stress."""
    phone, weak = sound.phone, sound.stress == "0" or (sound.stress == "2" and sound.rest == "y")
    if weak and phone in ("AH", "IH") and after.ends and before.phone in _PLURAL.get(after.phone, ()):
        return "ᵻ"
    if phone == "AH" and weak:
        return _schwa(sound, before, after, pre)
    if phone in ("IH", "IY") and weak:
        return _weak_i(sound, after, pre)
    if phone == "ER":
        return ("ɚ" if weak else "ɜː") + ("ɹ" if after.vowel else "")
    return _full(sound, after, weak)


def _full(sound: _Sound, after: _Sound, weak: bool) -> str:
    """A vowel that is no schwa."""
    phone = sound.phone
    if phone == "AE" and weak and not sound.start and sound.rest.startswith(("ad", "acc", "ack", "acq")):
        return "ɐ"
    if phone == "IY" and after.phone == "AH" and after.stress == "0" and sound.rest not in ("eal", "eals"):
        return "i"  # "idea": aɪdˈiə
    if phone == "AA" and weak and sound.rest == "a":  # "Africa"
        return "ə"
    if after.phone == "R":
        return _before_r(sound)
    if phone in ("AA", "AO") and _SHORT_O.match(sound.rest):
        return "ɔ"
    if (
        phone == "AA"
        and sound.letter == "a"
        and sound.start[-1:] in ("w", "u")
        and sound.rest[1:2] in ("n", "l")
    ):
        return "ɔ"
    return _PLAIN[phone]


def _before_r(sound: _Sound) -> str:
    if sound.phone in ("IH", "IY"):
        return "ɪ"
    if sound.phone == "EH" and sound.stress != "0" and _OPEN_AR.match(sound.rest):
        return "æ"
    return _PLAIN[sound.phone]


def _schwa(sound: _Sound, before: _Sound, after: _Sound, pre: bool) -> str:
    letter, rest = sound.letter, sound.rest
    if letter == "u" and before.phone == "Y":
        return "ʊ" if after.phone == "L" else "uː"
    if before.rest == rest:  # a second sound of one letter, as in "-ium"
        return "ə"
    if letter == "a":
        if (pre and after.phone not in ("R", "N")) or not sound.start:
            return "ɐ"
        return "ɪ" if rest in ("age", "ages", "aged", "ace") else "ə"
    if letter == "e":
        return _weak_e(sound, after, pre, other="ə")
    if letter == "i":
        return "ə" if rest[1:2] in ("e", "u", "a", "o") else _letter_i(rest)
    if letter == "u":
        return "ʌ" if not sound.start or rest.startswith(("ult", "ub", "ulg")) else "ə"
    return "ə"


def _weak_i(sound: _Sound, after: _Sound, pre: bool) -> str:
    letter, rest = sound.letter, sound.rest
    if sound.phone == "IY":
        if pre and letter == "e" and sound.start in _PREFIX and not after.vowel:
            return _prefix(sound, after)
        if rest.startswith("ee") or (rest.startswith("ie") and rest[2:3] not in ("", "s", "d")):
            return "i" if after.vowel else "iː"
        return "ɪ" if letter == "y" and len(rest) > 2 and rest != "y's" and not after.vowel else "i"
    if letter == "e":
        return _weak_e(sound, after, pre, other="ɪ")
    if rest.startswith("ily"):
        return "i"
    return _letter_i(rest) if letter == "i" else "ɪ"


def _weak_e(sound: _Sound, after: _Sound, pre: bool, other: str) -> str:
    rest = sound.rest
    if rest in ("ed", "es", "e's"):
        return "ᵻ"
    if not sound.start:
        return "ɛ" if rest[1:2] in ("x", "n", "m") else "ᵻ" if after.phone in ("L", "D", "P") else "ɪ"
    if pre:
        return _prefix(sound, after) if sound.start in _PREFIX else other
    if rest in ("ess", "ess's"):
        return "ə"
    return "ɪ" if _FRONT_E.match(rest) else other


def _prefix(sound: _Sound, after: _Sound) -> str:
    """The e of "be-", "de-", "pre-", "re-" and "se-"."""
    return "ɪ" if sound.start == "pr" or after.phone in _FRONT_AFTER.get(sound.start, ()) else "ᵻ"


def _letter_i(rest: str) -> str:
    return "ᵻ" if _OPEN_I.match(rest) else "ɪ"
