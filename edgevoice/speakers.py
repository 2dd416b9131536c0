"""How a speaker is named on the command line."""

from __future__ import annotations

from edgevoice.errors import EdgevoiceError


def parse(text: str | None) -> str | dict[str, float] | None:
    """``NAME``, a number, or ``NAME=WEIGHT,NAME=WEIGHT``, a mixture."""
    if text is None or not {"=", ","} & set(text):
        return text
    mixture: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            weight_of = float(weight)
        except ValueError:
            raise EdgevoiceError(
                f"--speaker {text!r}: give NAME=WEIGHT,NAME=WEIGHT, such as anna=0.7,ben=0.3"
            ) from None
        if name.strip() in mixture:
            raise EdgevoiceError(f"--speaker {text!r} names {name.strip()!r} twice")
        mixture[name.strip()] = weight_of
    return mixture
