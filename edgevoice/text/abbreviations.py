"""Words that a dot belongs to, by language: what the sentence splitter must know."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEVER_LAST = {
    "en": _words(
        "mr mrs ms dr prof st mt ft rev hon gen col capt cmdr lt sgt maj gov sen rep pres messrs"
        " e.g i.e eg ie cf vs viz approx ca"
    ),
    "de": _words("hr fr dr prof z.b z.t d.h u.a bzw ca evtl ggf inkl str vgl zzgl s.o s.u i.d.r o.ä sog"),
    "fr": _words("m mm mme mmes mlle dr pr st ste cf p.ex env"),
    "es": _words("sr sra srta sres dr dra ud uds p.ej av"),
    "it": _words("sig sigg sig.ra dott dott.ssa prof ing avv cfr p.es"),
    "pt": _words("sr sra dr dra prof exmo p.ex av"),
    "nl": _words("dhr mevr mw dr prof ir ing drs bijv d.w.z o.a ca vgl"),
}
"""A sentence goes on after these."""

BEFORE_NUMBER = _words(
    "no nos nr art fig figs vol ch chap cap kap bd abb pp p pg pág pag núm num blz hfdst al ext"
)
"""A sentence goes on after these if a number follows, in any language."""

SOMETIMES_LAST = {
    "en": _words(
        "etc inc ltd co corp jr sr bros a.m p.m am pm dept univ assn ave blvd rd est jan feb mar apr jun jul"
        " aug sep sept oct nov dec sec hr hrs tue thu esq ph.d m.d b.c a.d"
    ),
    "de": _words("usw etc u.s.w gmbh jan feb jun jul aug sep okt nov dez"),
    "fr": _words("etc janv févr juil sept oct nov déc"),
    "es": _words("etc ee.uu"),
    "it": _words("ecc"),
    "pt": _words("etc"),
    "nl": _words("enz etc"),
}
"""A sentence goes on after these unless a capital follows."""

ORDINAL_DOT = frozenset(
    ("de", "da", "nb", "nn", "no", "fi", "cs", "sk", "sl", "hr", "sr", "hu", "pl", "et", "lv", "is")
)
"""Languages that write "3." for "third"."""
