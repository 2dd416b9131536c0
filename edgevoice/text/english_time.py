"""Dates, years and times of day in English."""

from __future__ import annotations

import re

from edgevoice.text.english_numbers import ONES, below_hundred, cardinal, ordinal, year

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_SHORT = {month[:3].lower(): month for month in MONTHS} | {"sept": "September"}
_MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
_YEAR = r"(?P<year>[12][0-9]{3})"
_DAY = r"(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?"

_ISO = re.compile(r"\b(?P<year>[12][0-9]{3})-(?P<month>[01][0-9])-(?P<day>[0-3][0-9])(?:T(?=[0-9]{2}:)|\b)")
_SLASHED = re.compile(
    r"(?<![\w/.])(?P<a>[0-3]?[0-9])/(?P<b>[0-3]?[0-9])/(?P<year>[12][0-9]{3}|[0-9]{2})(?![\w/])"
)
_DOTTED = re.compile(
    r"(?<![\w.])(?P<day>[0-3]?[0-9])\.(?P<month>[01]?[0-9])\.(?P<year>[12][0-9]{3})(?![\w]|\.[0-9])"
)
_CENTURY_TURNS = 70  # "1/2/70" is 1970, "1/2/69" is 2069
_MONTH_DAY = re.compile(rf"\b{_MONTH} {_DAY}(?:,? {_YEAR})?(?![\w:]|[.,][0-9])")
_DAY_MONTH = re.compile(rf"\b(?P<the>the )?{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?(?!\w)")
_MONTH_YEAR = re.compile(rf"\b{_MONTH},? {_YEAR}(?![\w]|[.,][0-9])")
_DECADE = re.compile(r"(?<![\w.])['’]?(?P<century>1[0-9]|20)?['’]?(?P<decade>[0-9]0)['’]?s\b")
_SHORT_YEAR = re.compile(r"(?<!\w)['’](?P<year>[0-9]{2})(?![\w]|['’])")
_CONTEXT_YEAR = re.compile(
    r"(?P<before>\b(?:in|since|until|till|by|from|before|after|during|circa|year|early|late|mid|of|spring|summer"
    r"|autumn|fall|winter|©|[Cc]opyright)[ -])(?P<year>1[1-9][0-9]{2}|20[0-9]{2})(?P<era> (?:AD|BC|CE|BCE))?"
    r"(?![\w%°$€£]|[.,:][0-9]| (?:%|percent|people|miles|meters|years|days|hours|times|dollars|of))",
    re.IGNORECASE,
)
_ANY_YEAR = "1[1-9][0-9]{2}|20[0-9]{2}"
_YEAR_RANGE = re.compile(
    rf"(?<![\w.,$€£/-])(?P<a>{_ANY_YEAR}) ?[-–—] ?(?P<b>{_ANY_YEAR}|[0-9]{{2}})(?![\w%-]|[.,][0-9])"
)
_BARE_YEAR = re.compile(r"(?<![\w.,$€£+/#-])(?P<year>19[0-9]{2}|20[0-9]{2})(?![\w%°-]|[.,:/][0-9])")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_DAY = {day[:length].lower(): day for day in DAYS for length in (3, 4, 5)}
_SOME_DAY = rf"(?:(?:{'|'.join(day[:3] for day in DAYS)}|Tues|Thurs?)\b\.?|{'|'.join(DAYS)})"
_DAY_SPAN = re.compile(rf"\b(?P<a>{_SOME_DAY}) ?[-–—] ?(?P<b>{_SOME_DAY})(?!\w)")
_DAY_LIST = re.compile(rf"\b{_SOME_DAY}(?: ?(?:,? ?and|,? ?or|[&,/]) ?{_SOME_DAY})+(?!\w)")
_ONE_DAY = re.compile(rf"\b{_SOME_DAY}")
_DAY_HOUR = re.compile(rf"\b(?P<a>{_SOME_DAY})(?=:? [0-9]{{1,2}}(?::[0-9]{{2}}| ?[AaPp]\.?[Mm]\b))")

_HALF = r"(?P<half>[AaPp]\.[Mm]\b\.?|[AaPp][Mm]\b)"
_CLOCK = re.compile(
    rf"(?<![\w:.])(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9])(?:\.[0-9]+)?)?"
    rf"(?:[ ]?{_HALF})?(?:Z\b)?(?![\w:])"
)
_BRITISH = re.compile(r"(?<![\w.])(?P<hour>1[0-2]|[1-9])\.(?P<minute>[0-5][0-9])(?= ?[AaPp]\.?[Mm]\b)")
_CLOCK_SPAN = re.compile(
    r"(?P<a>(?:[0-9]|[AaPp]\.?[Mm]\.?)) ?[-–—] ?(?=[0-9]{1,2}(?::[0-9]{2})? ?[AaPp]\.?[Mm]\b)"
    r"|(?<=:)(?P<b>[0-5][0-9]) ?[-–—] ?(?=[0-9]{1,2}:[0-9]{2})"
)
_HOUR = re.compile(rf"(?<![\w:.,])(?P<hour>1[0-2]|0?[1-9]) ?{_HALF}(?!\w)")


def dates(text: str) -> str:
    """Dates with a year, and days of a named month."""
    text = _ISO.sub(lambda m: _date(int(m["month"]), int(m["day"]), m["year"], m) + " ", text)
    text = _DOTTED.sub(lambda m: _date(int(m["month"]), int(m["day"]), m["year"], m), text)
    text = _SLASHED.sub(_slashed, text)
    text = _MONTH_DAY.sub(_named, text)
    text = _DAY_MONTH.sub(_day_first, text)
    text = _MONTH_YEAR.sub(lambda m: f"{_month(m['month'])} {year(int(m['year']))}", text)
    return text


def _date(month: int, day: int, year_digits: str | None, found: re.Match[str]) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found.group()
    tail = f", {_year(year_digits)}" if year_digits else ""
    return f"{MONTHS[month - 1]} {ordinal(day)}{tail}"


def _year(digits: str) -> str:
    return year(int(digits)) if len(digits) == 4 else _two_digit_year(digits)


def _two_digit_year(digits: str) -> str:
    number = int(digits)
    return below_hundred(number) if number >= 10 else f"oh {ONES[number]}"


def _slashed(found: re.Match[str]) -> str:
    """Month first, as Americans write, unless that is no month."""
    a, b = int(found["a"]), int(found["b"])
    month, day = (b, a) if a > 12 else (a, b)
    digits = found["year"]
    if len(digits) == 2:
        digits = ("19" if int(digits) >= _CENTURY_TURNS else "20") + digits
    return _date(month, day, digits, found)


def _month(name: str) -> str:
    return _SHORT.get(name.rstrip(".").lower(), name)


def _named(found: re.Match[str]) -> str:
    day = int(found["day"])
    if not 1 <= day <= 31:
        return found.group()
    tail = f", {_year(found['year'])}" if found["year"] else ""
    return f"{_month(found['month'])} {ordinal(day)}{tail}"


def _day_first(found: re.Match[str]) -> str:
    day = int(found["day"])
    if not 1 <= day <= 31:
        return found.group()
    tail = f", {_year(found['year'])}" if found["year"] else ""
    return f"the {ordinal(day)} of {_month(found['month'])}{tail}"


def years(text: str) -> str:
    """Spans of years, and numbers that are probably years. Comes after money and units."""
    text = _YEAR_RANGE.sub(_span, text)
    text = _CONTEXT_YEAR.sub(lambda m: m["before"] + year(int(m["year"])) + (m["era"] or ""), text)
    text = _SHORT_YEAR.sub(lambda m: _two_digit_year(m["year"]), text)
    return _BARE_YEAR.sub(lambda m: year(int(m["year"])), text)


def decades(text: str) -> str:
    """ "the 1990s" is "the nineteen nineties". Comes before units, where s is for seconds."""
    return _DECADE.sub(_decade, text)


def _decade(found: re.Match[str]) -> str:
    tens = int(found["decade"])
    if tens == 0:
        if not found["century"]:
            return found.group()
        century = int(found["century"])
        return "two thousands" if century == 20 else f"{below_hundred(century)} hundreds"
    plural = "tens" if tens == 10 else below_hundred(tens)[:-1] + "ies"
    return f"{below_hundred(int(found['century']))} {plural}" if found["century"] else plural


def _span(found: re.Match[str]) -> str:
    return f"{year(int(found['a']))} to {_year(found['b'])}"


def weekdays(text: str) -> str:
    """ "Mon-Fri" is "Monday to Friday"; "Sat" and "Sun" alone are words, beside another day they are days."""
    text = _DAY_SPAN.sub(lambda m: f"{_weekday(m['a'])} to {_weekday(m['b'])}", text)
    text = _DAY_LIST.sub(lambda m: _ONE_DAY.sub(lambda day: _weekday(day.group()), m.group()), text)
    return _DAY_HOUR.sub(lambda m: _weekday(m["a"]), text)


def _weekday(name: str) -> str:
    return _SHORT_DAY.get(name.rstrip(".").lower(), name)


def times(text: str) -> str:
    """ "7:05 pm" is "seven oh five PM", "19:30" is "nineteen thirty", "7:00" is "seven o'clock"."""
    text = _CLOCK_SPAN.sub(lambda m: f"{m['a'] or m['b']} to ", text)
    text = _CLOCK.sub(_clock, _BRITISH.sub(r"\g<hour>:\g<minute>", text))
    return _HOUR.sub(lambda m: f"{cardinal(int(m['hour']))} {_half(m)}", text)


def _clock(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), int(found["minute"])
    words = [cardinal(hour)]
    if minute:
        words.append(f"oh {ONES[minute]}" if minute < 10 else below_hundred(minute))
    elif not found["half"] and not found["second"]:
        words.append("o'clock" if 0 < hour <= 12 else "hundred")
    if found["second"]:
        second = int(found["second"])
        words += [] if minute else ["o'clock"]
        words.append(f"and {cardinal(second)} second{'' if second == 1 else 's'}")
    if found["half"]:
        words.append(_half(found))
    return " ".join(words)


def _half(found: re.Match[str]) -> str:
    """ "p.m." is "PM"; at the end of the text its last dot is the sentence's too."""
    ends = found["half"].endswith(".") and not found.string[found.end() :].strip("\"')”’ ")
    return found["half"].replace(".", "").upper() + ("." if ends else "")
