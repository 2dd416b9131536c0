"""The keys that a deployed folder trusts, as they lie in ``ROOT/keys``; writes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import EdgevoiceError
from edgevoice.signing.openssh import NAMESPACE, PRINCIPAL
from edgevoice.signing.public import PublicKey, from_words

FOLDER = "keys"


@dataclass(frozen=True)
class Ring:
    """The paths in a folder of keys."""

    folder: Path

    @property
    def allowed(self) -> Path:
        return self.folder / "allowed_signers"

    @property
    def revoked(self) -> Path:
        return self.folder / "revoked"

    @property
    def newest(self) -> Path:
        return self.folder / "newest_serial"

    @property
    def in_use(self) -> bool:
        """Whether signatures are asked for: so it stays when only the files in the folder were lost."""
        return os.path.lexists(self.folder)

    def trusted(self) -> list[PublicKey]:
        """The trusted keys. Raises `EdgevoiceError` if they cannot be read: that must not read as none."""
        return [self._key(line, words=line.split(maxsplit=4)[2:]) for line in self._lines(self.allowed)]

    def revoked_keys(self) -> list[PublicKey]:
        if not os.path.lexists(self.revoked):
            return []
        return [self._key(line, words=line.split(maxsplit=2)) for line in self._lines(self.revoked)]

    def newest_serial(self) -> int:
        """The highest serial that was ever switched to, 0 if there was none."""
        if not os.path.lexists(self.newest):
            return 0
        lines = self._lines(self.newest)
        if len(lines) != 1 or not lines[0].isdecimal():
            raise EdgevoiceError(f"{self.newest} holds no number: write the newest release's serial into it")
        return int(lines[0])

    def _key(self, line: str, words: list[str]) -> PublicKey:
        found = from_words(*words) if len(words) >= 2 else None
        if found is None:
            raise EdgevoiceError(f"{self.folder} holds a line that is no Ed25519 key, mend it: {line[:60]!r}")
        return found

    def _lines(self, path: Path) -> list[str]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise EdgevoiceError(
                f"{path} is missing, so no key is trusted: `edgevoice keys trust`, or remove {self.folder}"
            ) from None
        except OSError as error:
            raise EdgevoiceError(f"cannot read {path}: {error.strerror}") from None
        return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def ring_of(root: Path) -> Ring:
    return Ring(root / FOLDER)


def allowed_lines(keys: list[PublicKey]) -> bytes:
    rows = [f'{PRINCIPAL} namespaces="{NAMESPACE}" {key.line}\n' for key in keys]
    return "".join(rows).encode()


def key_lines(keys: list[PublicKey]) -> bytes:
    return "".join(f"{key.line}\n" for key in keys).encode()
