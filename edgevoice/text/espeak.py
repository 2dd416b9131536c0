"""Phonemes from espeak-ng, for the hundred-odd languages it knows.

espeak-ng is licensed GPL-3.0-or-later, so it is the user's choice and no part of the base install: either
the extra ``espeak`` or the system's package brings the library and its data.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import re
import threading
import unicodedata
from itertools import pairwise
from typing import Any

from edgevoice import install
from edgevoice.errors import EdgevoiceError

SYSTEM_PACKAGE = "the system's package (Debian, Ubuntu: `apt install libespeak-ng1 espeak-ng-data`)"

# From espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_RETRIEVAL = 1
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES_IPA = 2

_SIGNS = str.maketrans("–。．、，！？；：،؟؛।", "—..,,!?;:,?;.")
_SIGN = "[.,!?;:…—–。．、，！？；：،؟؛।]"
_RUN = rf"(?P<run>{_SIGN}(?:\W*{_SIGN})*)"
_AT_END = re.compile(_RUN + r"\W*$")
_BEFORE_NEXT = re.compile(_RUN + r"\W*.?$", re.DOTALL)
# espeak-ng leaves out a word of one letter that comes the fourth time in a row, in one call.
_REPEATED = re.compile(r"(?<!\w)([^\W_])(?:[\s-]+\1){2}(?=[\s-]+\1(?!\w))", re.IGNORECASE)
_SWITCH = re.compile(r"\([^)]*\)")

_lock = threading.RLock()
_library: ctypes.CDLL | None = None
_language: str | None = None


class EspeakPhonemizer:
    """Calls libespeak-ng in this process; safe to share between threads, which take turns."""

    name = "espeak"

    def __init__(self, language: str) -> None:
        """``language`` as espeak-ng names it (``en-us``, ``de``, ``pt-br``; ``en_US`` is taken too).

        Raises EdgevoiceError if the library is missing or does not know the language.
        """
        self.language = language.replace("_", "-").lower()
        with _lock:
            _choose(_load(), self.language)

    def phonemize(self, text: str) -> str:
        """See `edgevoice.text.base.Phonemizer`."""
        with _lock:
            library = _load()
            _choose(library, self.language)
            clauses = [
                clause for part in _parts(text.replace("\0", " ")) for clause in _clauses(library, part)
            ]
        parts = []
        for phonemes, sign in clauses:
            spoken = _SWITCH.sub("", phonemes).strip()
            if spoken:
                parts.append(spoken + sign)
        return unicodedata.normalize("NFD", " ".join(parts))


def _parts(text: str) -> list[str]:
    """``text`` in parts with no letter more than three times in a row."""
    ends = [found.end() for found in _REPEATED.finditer(text)]
    return [text[start:end] for start, end in pairwise([0, *ends, len(text)])]


def missing() -> str | None:
    """Why espeak-ng cannot be used here, or None if it can."""
    try:
        with _lock:
            _load()
    except EdgevoiceError as error:
        return str(error)
    return None


def _load() -> ctypes.CDLL:
    global _library
    if _library is None:
        library, data = _open()
        if library.espeak_Initialize(_AUDIO_OUTPUT_RETRIEVAL, 0, data, _INITIALIZE_DONT_EXIT) < 0:
            raise EdgevoiceError(f"espeak-ng was found but its data was not: {_mend()}")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        _library = library
    return _library


def _open() -> tuple[ctypes.CDLL, bytes | None]:
    """The library and the folder of its data (None: where the library itself looks)."""
    if importlib.util.find_spec("espeakng_loader"):
        loader: Any = importlib.import_module("espeakng_loader")
        try:
            return ctypes.CDLL(loader.get_library_path()), loader.get_data_path().encode()
        except (OSError, RuntimeError):  # a wheel for another machine: the system's may still serve
            pass
    for name in ("libespeak-ng.so.1", ctypes.util.find_library("espeak-ng")):
        try:
            if name:
                return ctypes.CDLL(name), None
        except OSError:
            continue
    raise EdgevoiceError(f"espeak-ng is not installed: {_mend()}")


def _mend() -> str:
    return f"run `{install.command('espeak')}`, or install {SYSTEM_PACKAGE}"


def _choose(library: ctypes.CDLL, language: str) -> None:
    global _language
    if language == _language:
        return
    _language = None
    known = language.isascii() and bool(language)
    if not known or library.espeak_SetVoiceByName(language.encode()) != 0:
        file = _voice_files(library).get(language)
        if file is None or library.espeak_SetVoiceByName(file) != 0:
            raise EdgevoiceError(
                f"espeak-ng knows no language {language!r}: `espeak-ng --voices` lists those it knows"
            )
    _language = language


class _Voice(ctypes.Structure):
    """The head of espeak_VOICE; ``languages`` is a list of (priority byte, text, NUL), closed by a NUL."""

    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_void_p), ("identifier", ctypes.c_char_p))


def _voice_files(library: ctypes.CDLL) -> dict[str, bytes]:
    """Voice file of each language code. Slow, as it reads every file: for names espeak-ng did not take."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    voices = library.espeak_ListVoices(None)
    files: dict[str, bytes] = {}
    row = 0
    while voices[row]:
        voice = voices[row].contents
        at = voice.languages or 0
        while at and ctypes.string_at(at, 1) != b"\0":
            code = ctypes.string_at(at + 1)
            files.setdefault(code.decode("utf-8", "ignore").lower(), voice.identifier or b"")
            at += len(code) + 2
        row += 1
    return files


def _clauses(library: ctypes.CDLL, text: str) -> list[tuple[str, str]]:
    """Phonemes and closing punctuation of each clause.

    The stock library drops punctuation, but it moves the pointer on by one clause a call. It has then read
    one character past the clause, so the sign that closed the clause stands before that character.
    """
    raw = text.encode("utf-8", "ignore")
    buffer = ctypes.create_string_buffer(raw)
    start = ctypes.addressof(buffer)
    pointer = ctypes.c_void_p(start)
    clauses = []
    at = 0
    while pointer.value:
        phonemes = library.espeak_TextToPhonemes(ctypes.byref(pointer), _CHARS_UTF8, _PHONEMES_IPA)
        end = pointer.value - start if pointer.value else len(raw)
        read = raw[at:end].decode("utf-8", "ignore")
        clauses.append(((phonemes or b"").decode("utf-8", "ignore"), _sign(read, more=bool(pointer.value))))
        at = end
    return clauses


def _sign(read: str, more: bool) -> str:
    """The punctuation that closes the clause ``read``; ``more``: a character of the next one follows it."""
    found = (_BEFORE_NEXT if more else _AT_END).search(read)
    if not found:
        return ""
    run = found["run"]
    if run.startswith(("...", "…")):
        return "…"
    return str(run[0].translate(_SIGNS))
