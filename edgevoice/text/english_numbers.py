"""English number words.

Written here because num2words, the known library for it, is LGPL, and a device needs one of its 40 languages.
"""

from __future__ import annotations


def _list(text: str) -> list[str]:
    return text.split()


ONES = _list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen"
)
TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = _list("- thousand million billion trillion quadrillion quintillion sextillion septillion octillion")
LIMIT = 10 ** (3 * len(SCALES))

_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def cardinal(number: int) -> str:
    """1234 is "one thousand two hundred thirty four". Past the octillions, digit by digit."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number >= LIMIT:
        return spell(str(number))
    groups: list[str] = []
    scale = 0
    while number or not groups:
        number, group = divmod(number, 1000)
        if group or (not number and scale == 0):
            groups.append(f"{_hundreds(group)} {SCALES[scale]}" if scale else _hundreds(group))
        scale += 1
    return " ".join(reversed(groups))


def _hundreds(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{ONES[hundreds]} hundred"] if hundreds else []
    if rest or not hundreds:
        parts.append(below_hundred(rest))
    return " ".join(parts)


def below_hundred(number: int) -> str:
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens]} {ONES[ones]}" if ones else TENS[tens]


def ordinal(number: int) -> str:
    """21 is "twenty first"."""
    words = cardinal(number).split(" ")
    last = words[-1]
    if last in _ORDINALS:
        words[-1] = _ORDINALS[last]
    elif last.endswith("y"):
        words[-1] = last[:-1] + "ieth"
    else:
        words[-1] = last + "th"
    return " ".join(words)


def spell(digits: str) -> str:
    """Digit by digit."""
    return " ".join(ONES[int(digit)] for digit in digits)


def digits(text: str) -> str:
    """A run of digits as one would read it: a number, unless it starts with a zero or is very long."""
    if (len(text) > 1 and text[0] == "0") or len(text) > 3 * len(SCALES):
        return spell(text)
    return cardinal(int(text))


def decimal(whole: str, fraction: str) -> str:
    """ "3", "14" is "three point one four"."""
    return f"{digits(whole or '0')} point {spell(fraction)}"


def paired(number: int) -> str:
    """As rooms and flights are called: 204 is "two oh four", 1234 "twelve thirty four"."""
    high, low = divmod(number, 100)
    if low == 0:
        return cardinal(number) if high % 10 == 0 else f"{below_hundred(high)} hundred"
    return f"{below_hundred(high)} {f'oh {ONES[low]}' if low < 10 else below_hundred(low)}"


def year(number: int) -> str:
    """1999 is "nineteen ninety nine", 2005 "two thousand five", 1905 "nineteen oh five"."""
    high, low = divmod(number, 100)
    if not 1000 <= number <= 2999 or (high % 10 == 0 and low < 10):
        return cardinal(number)
    if low == 0:
        return f"{below_hundred(high)} hundred"
    if low < 10:
        return f"{below_hundred(high)} oh {ONES[low]}"
    return f"{below_hundred(high)} {below_hundred(low)}"
