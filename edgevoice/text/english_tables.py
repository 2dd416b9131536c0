"""Tables of English normalisation: titles, abbreviations, units, currencies."""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    entries = (entry.split("=", 1) for entry in text.split())
    return {short: words.replace("_", " ") for short, words in entries}


TITLES = _table(
    "Mr=mister Mrs=missus Ms=miz Dr=doctor Prof=professor Rev=reverend Hon=honorable Gen=general "
    "Col=colonel Capt=captain Cmdr=commander Lt=lieutenant Sgt=sergeant Maj=major Gov=governor Sen=senator "
    "Rep=representative Pres=president Mt=mount Ft=fort Messrs=messieurs"
)
"""Before a name, where the dot never ends a sentence."""

WORDS = _table(
    "e.g=for_example eg=for_example i.e=that_is etc=et_cetera vs=versus approx=approximately viz=namely "
    "cf=compare al=al Jr=junior Sr=senior Inc=incorporated Ltd=limited Corp=corporation Co=company "
    "Bros=brothers Dept=department dept=department est=established Ave=avenue Blvd=boulevard Rd=road "
    "Univ=university misc=miscellaneous tel=telephone Tel=telephone ext=extension Esq=esquire "
    "Assn=association ca=circa Sept=September min=minimum max=maximum incl=including excl=excluding "
    "temp=temperature Mon=Monday Tue=Tuesday Tues=Tuesday Wed=Wednesday Thu=Thursday Thurs=Thursday "
    "Fri=Friday Sat=Saturday Jan=January Feb=February Apr=April Aug=August Oct=October Nov=November "
    "Dec=December"
)
"""Abbreviations written with a dot."""

NUMBERED = _table(
    "No=number no=number Nos=numbers nos=numbers Fig=figure fig=figure Figs=figures Vol=volume vol=volume "
    "Ch=chapter ch=chapter pp=pages p=page pg=page Art=article Sec=section Eq=equation"
)
"""Abbreviations with a dot that count only before a number."""


def _units(text: str) -> dict[str, tuple[str, str]]:
    """Signs, then what one and many of it are called; many is one with an s unless it is given."""
    units: dict[str, tuple[str, str]] = {}
    for line in text.strip().splitlines():
        signs, names = line.split(" = ")
        one, _, many = names.partition(" / ")
        units |= {sign: (one, many or one + "s") for sign in signs.split(", ")}
    return units


UNITS = _units("""
km/h, kmh, kph = kilometer per hour / kilometers per hour
mph, mi/h = mile per hour / miles per hour
m/s² = meter per second squared / meters per second squared
m/s = meter per second / meters per second
km/s = kilometer per second / kilometers per second
g/l = gram per liter / grams per liter
kg/m³ = kilogram per cubic meter / kilograms per cubic meter
°C, ℃ = degree Celsius / degrees Celsius
°F, ℉ = degree Fahrenheit / degrees Fahrenheit
°K = kelvin
° = degree
km², km2, sq km = square kilometer
m², m2, sq m = square meter
cm² = square centimeter
mm² = square millimeter
m³, m3 = cubic meter
cm³ = cubic centimeter
sq mi = square mile
sq ft = square foot / square feet
cu ft = cubic foot / cubic feet
km = kilometer
cm = centimeter
mm = millimeter
µm, μm = micrometer
nm = nanometer
m = meter
mi = mile
ft = foot / feet
yd = yard
kg = kilogram
mg = milligram
µg = microgram
g = gram
lb, lbs = pound
oz = ounce
L, l = liter
ml, mL = milliliter
gal = gallon
tsp = teaspoon
tbsp = tablespoon
ms = millisecond
µs = microsecond
ns = nanosecond
sec, secs, s = second
min, mins = minute
h, hr, hrs = hour
yr, yrs = year
Hz = hertz / hertz
kHz = kilohertz / kilohertz
MHz = megahertz / megahertz
GHz = gigahertz / gigahertz
kB, KB = kilobyte
MB = megabyte
GB = gigabyte
TB = terabyte
PB = petabyte
KiB = kibibyte
MiB = mebibyte
GiB = gibibyte
MB/s = megabyte per second / megabytes per second
GB/s = gigabyte per second / gigabytes per second
kbps = kilobit per second / kilobits per second
Mbps, Mbit/s = megabit per second / megabits per second
Gbps, Gbit/s = gigabit per second / gigabits per second
fps = frame per second / frames per second
rpm = revolution per minute / revolutions per minute
bpm = beat per minute / beats per minute
px = pixel
dpi = dot per inch / dots per inch
W = watt
kW = kilowatt
MW = megawatt
GW = gigawatt
mW = milliwatt
kWh = kilowatt hour
Wh = watt hour
MWh = megawatt hour
V = volt
mV = millivolt
kV = kilovolt
mA = milliamp
mAh = milliamp hour
dB = decibel
kcal = kilocalorie
kJ = kilojoule
Pa = pascal
kPa = kilopascal
hPa = hectopascal
psi = PSI / PSI
ppm = part per million / parts per million
TOPS = TOPS / TOPS
Ω = ohm
kΩ = kilohm
""")

MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¢": ("cent", "cents", "", ""),
}
"""One, many, one hundredth, many hundredths."""

CURRENCIES = _table(
    "USD=US_dollar EUR=euro GBP=pound CHF=Swiss_franc CAD=Canadian_dollar AUD=Australian_dollar INR=rupee "
    "JPY=yen CNY=yuan"
)
NATIONS = {
    "US": "US ",
    "CA": "Canadian ",
    "C": "Canadian ",
    "AU": "Australian ",
    "A": "Australian ",
    "HK": "Hong Kong ",
}
SCALES = _table("k=thousand m=million mn=million mln=million b=billion bn=billion tn=trillion")
FRACTIONS = _table("½=1/2 ⅓=1/3 ⅔=2/3 ¼=1/4 ¾=3/4 ⅕=1/5 ⅛=1/8 ⅜=3/8 ⅝=5/8 ⅞=7/8")
