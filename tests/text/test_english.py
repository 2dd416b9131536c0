from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.text import normalise
from edgevoice.text.english_numbers import cardinal, digits, ordinal, year

CASES = {
    "numbers": [
        ("0", "zero"),
        ("12", "twelve"),
        (
            "1,234,567.89",
            "one million two hundred thirty four thousand five hundred sixty seven point eight nine",
        ),
        ("-42 and +7", "minus forty two and plus seven"),
        ("007", "zero zero seven"),
        (".5", "zero point five"),
        ("3.14159", "three point one four one five nine"),
        ("1000000", "one million"),
        ("10 000 km", "ten thousand kilometers"),
        ("10\u202f500", "ten thousand five hundred"),
        ("٣ items, １２ more", "three items, twelve more"),
        ("1st, 22nd, 101st, 1,000th", "first, twenty second, one hundred first, one thousandth"),
        ("1/2, 3/4, 2 1/2, 5/8", "one half, three quarters, two and a half, five eighths"),
        ("½ cup, 2½ cups", "one half cup, two and a half cups"),
        ("24/7", "twenty four seven"),
        ("10-20, 10–20, 50-50", "ten to twenty, ten to twenty, fifty fifty"),
        ("1+1=2, 5 - 3 = 2", "one plus one equals two, five minus three equals two"),
        ("2 x 4, 10x faster, 10^6", "two by four, ten times faster, ten to the power of six"),
        ("3:1 or 2/3rds of 7M", "three to one or two thirds of seven million"),
        ("a 2-year-old", "a two-year-old"),
    ],
    "money": [
        ("$7.50", "seven dollars and fifty cents"),
        ("$1 and $0.99 and $1.01", "one dollar and ninety nine cents and one dollar and one cent"),
        ("€1,234.56", "one thousand two hundred thirty four euros and fifty six cents"),
        ("£5.01 or £3", "five pounds and one penny or three pounds"),
        ("7,50 € or 5€", "seven euros and fifty cents or five euros"),
        (
            "$3.5 million, $2bn, $100k",
            "three point five million dollars, two billion dollars, one hundred thousand dollars",
        ),
        ("-$5 and US$20", "minus five dollars and twenty US dollars"),
        ("5 USD and EUR 10", "five US dollars and ten euros"),
    ],
    "times": [
        ("7:05 pm", "seven oh five PM"),
        ("7:00", "seven o'clock"),
        ("19:30", "nineteen thirty"),
        ("at 5 p.m.", "at five PM."),
        ("at 9 a.m. we go", "at nine AM we go"),
        ("7.30pm", "seven thirty PM"),
        ("9am-5pm", "nine AM to five PM"),
        ("10:15:30", "ten fifteen and thirty seconds"),
        ("25:00", "twenty five:zero zero"),
    ],
    "weekdays": [
        ("Open Mon-Fri 9:00-17:30.", "Open Monday to Friday nine o'clock to seventeen thirty."),
        ("Mon. to Fri.", "Monday to Friday."),
        ("Mon, Wed and Fri at noon", "Monday, Wednesday and Friday at noon"),
        ("Sat & Sun closed", "Saturday and Sunday closed"),
        ("Tues–Thurs 8 am", "Tuesday to Thursday eight AM"),
        ("The cat sat and the sun rose.", "The cat sat and the sun rose."),
        ("Sun and moon, sat or stood", "Sun and moon, sat or stood"),
    ],
    "what is called by a number": [
        ("Room 204 and room 1200", "Room two oh four and room twelve hundred"),
        ("flight LH 1234", "flight LH twelve thirty four"),
        ("bus 300, train 17", "bus three hundred, train seventeen"),
        ("room 204.5", "room two hundred four point five"),
        ("C# and F# minor", "C sharp and F sharp minor"),
    ],
    "dates": [
        ("March 3, 2021", "March third, twenty twenty one"),
        ("2021-03-04", "March fourth, twenty twenty one"),
        ("3/4/2021", "March fourth, twenty twenty one"),
        ("25/12/2021", "December twenty fifth, twenty twenty one"),
        ("24.12.2023", "December twenty fourth, twenty twenty three"),
        ("Jan. 5 and Dec 24", "January fifth and December twenty fourth"),
        ("3rd of May 1999", "the third of May, nineteen ninety nine"),
        ("in 1905 and 2005", "in nineteen oh five and two thousand five"),
        ("1939-1945", "nineteen thirty nine to nineteen forty five"),
        ("the 1990s and '80s", "the nineteen nineties and eighties"),
        ("March 99", "March ninety nine"),
        (
            "12/31/26 and 1/2/70",
            "December thirty first, twenty twenty six and January second, nineteen seventy",
        ),
    ],
    "units": [
        ("5 km at 12.5 km/h", "five kilometers at twelve point five kilometers per hour"),
        ("-5°C or 20 °F", "minus five degrees Celsius or twenty degrees Fahrenheit"),
        (
            "16 GB, 1 MB, 20 ms, 3.5GHz",
            "sixteen gigabytes, one megabyte, twenty milliseconds, three point five gigahertz",
        ),
        ("1 kg, 100 m², 2 lbs", "one kilogram, one hundred square meters, two pounds"),
        ("50%, 3-5%, 12,5 %", "fifty percent, three to five percent, twelve point five percent"),
        ("6'2\" tall", "six foot two tall"),
        ("2 1/2 km", "two and a half kilometers"),
        ("5-10 km", "five to ten kilometers"),
        ("It took 5 min. to go, 10 min., ok", "It took five minutes to go, ten minutes, ok"),
        ("3/4 tsp. salt", "three quarters teaspoon salt"),
    ],
    "abbreviations": [
        ("Dr. Smith and Mrs. Jones", "doctor Smith and missus Jones"),
        ("St. Paul, Baker St. and St. John's St.", "saint Paul, Baker street and saint John's street."),
        ("e.g. this, i.e. that, etc.", "for example this, that is that, et cetera."),
        ("No. 5, Fig. 3, pp. 3-5", "number five, figure three, pages three to five"),
        ("no 5 pears", "no five pears"),
        ("the U.S.A. and the U.K.", "the USA and the UK."),
        ("J. R. R. Tolkien", "J R R Tolkien"),
        ("NASA, FBI", "NASA, FBI"),
        ("Henry VIII, World War II, Chapter IV", "Henry the eighth, World War two, Chapter four"),
        ("Part I of it, and I am", "Part one of it, and I am"),
        ("A or B vs. C", "A or B versus C"),
    ],
    "addresses": [
        (
            "https://www.example.com/a-b?c=1,",
            "WWW dot example dot com slash a dash b question mark c equals one,",
        ),
        ("mail john.doe@example.org.", "mail john dot doe at example dot org."),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
        ("555-1234", "five five five, one two three four"),
        ("+49 30 123456", "plus four nine, three zero, one two three four five six"),
        ("+4930123456", "plus four nine three zero one two three four five six"),
        ("(030) 12345-67", "zero three zero, one two three four five, six seven"),
        ("+25000000 euros", "plus twenty five million euros"),
        ("(01) 234 items", "(zero one) two hundred thirty four items"),
        ("Call (030) 4567.", "Call zero three zero, four five six seven."),
        ("v2.0, 1.2.3", "version two point zero, one point two point three"),
        ("192.168.0.1", "one hundred ninety two dot one hundred sixty eight dot zero dot one"),
        ("README.md", "README dot MD"),
    ],
    "signs": [
        ("salt & pepper, AT&T", "salt and pepper, AT and T"),
        ("#5 #tag @user", "number five hashtag tag at user"),
        ("**bold** `code`", "bold 'code'"),
        ("wait -- what - ok", "wait — what — ok"),
        ("C++, and/or, w/o", "C plus plus, and or, without"),
        ("MP3, B2B, COVID-19, 5G", "MP three, B two B, COVID-nineteen, five G"),
        ("20 ± 1", "twenty plus or minus one"),
        ("don’t", "don't"),
    ],
}


@pytest.mark.parametrize(("text", "want"), [case for cases in CASES.values() for case in cases])
def test_english(text: str, want: str) -> None:
    assert normalise(text, "en-us") == want


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (10, "ten"),
        (100, "one hundred"),
        (101, "one hundred one"),
        (1000, "one thousand"),
        (1_000_001, "one million one"),
        (-3, "minus three"),
        (10**18, "one quintillion"),
    ],
)
def test_cardinals(number: int, words: str) -> None:
    assert cardinal(number) == words


def test_ordinals_years_and_long_numbers() -> None:
    said = ", ".join(ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 21, 100))
    assert said == (
        "first, second, third, fifth, eighth, ninth, twelfth, twentieth, twenty first, one hundredth"
    )
    assert [year(n) for n in (1066, 1900, 2000, 2010)] == [
        "ten sixty six",
        "nineteen hundred",
        "two thousand",
        "twenty ten",
    ]
    assert digits("9" * 40) == " ".join(["nine"] * 40)


@given(st.text())
def test_it_never_raises_and_leaves_no_digit(text: str) -> None:
    assert not re.search("[0-9]", normalise(text, "en"))


WORD = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9)


@given(st.lists(WORD, min_size=1))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    text = " ".join(words)
    assert normalise(text, "en") == text


@given(st.lists(st.one_of(WORD, st.integers(0, 10**6).map(str)), min_size=1))
def test_words_between_numbers_are_kept(tokens: list[str]) -> None:
    said = normalise(", ".join(tokens), "en")
    for token in tokens:
        if token.isalpha() and len(token) > 5:  # after a number a shorter one may be a unit
            assert token in said


def test_other_languages_keep_their_numbers_for_the_phonemizer() -> None:
    assert normalise("Es  kostet\n7,50 €.", "de") == "Es kostet 7,50 €."
