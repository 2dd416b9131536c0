"""English words that change with their neighbours: weak forms, fused pairs, noun and verb of one spelling.

Forms are espeak-ng's notation. Where a word is not listed, the dictionary's form serves everywhere.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in text.split())


def _pairs(text: str) -> dict[tuple[str, str], str]:
    forms = (entry.split("=", 1) for entry in text.split())
    return {(pair.split("_")[0], pair.split("_")[1]): form for pair, form in forms}


def _two_forms(text: str) -> dict[str, tuple[str, str]]:
    return {word: (forms.split("/")[0], forms.split("/")[1]) for word, forms in _table(text).items()}


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


LETTERS = _table(
    "a=ˈeɪ b=bˈiː c=sˈiː d=dˈiː e=ˈiː f=ˈɛf g=dʒˈiː h=ˈeɪtʃ i=ˈaɪ j=dʒˈeɪ k=kˈeɪ l=ˈɛl m=ˈɛm n=ˈɛn o=ˈoʊ "
    "p=pˈiː q=kjˈuː r=ˈɑːɹ s=ˈɛs t=tˈiː u=jˈuː v=vˈiː w=dˈʌbəljˌuː x=ˈɛks y=wˈaɪ z=zˈiː"
)

WEAK = _table(
    "the=ðə a=ɐ an=ɐn i=aɪ you=juː he=hiː she=ʃiː it=ɪt we=wiː they=ðeɪ me=mˌiː him=hˌɪm her=hɜː us=ˌʌs "
    "them=ðˌɛm my=maɪ your=jʊɹ his=hɪz its=ɪts our=ˌaʊɚ their=ðɛɹ this=ðɪs that=ðæt these=ðiːz those=ðoʊz "
    "there=ðɛɹ some=sˌʌm any=ˌɛni to=tə of=ʌv in=ɪn on=ˌɔn at=æt for=fɔːɹ from=fɹʌm with=wɪð by=baɪ "
    "into=ˌɪntʊ over=ˌoʊvɚ under=ˌʌndɚ about=ɐbˌaʊt before=bᵻfˌɔːɹ between=bᵻtwˌiːn through=θɹuː "
    "without=wɪðˌaʊt up=ˌʌp down=dˌaʊn than=ðɐn and=ænd or=ɔːɹ but=bˌʌt if=ɪf as=æz when=wɛn while=wˌaɪl "
    "which=wˌɪtʃ what=wʌt who=hˌuː how=hˌaʊ where=wˌɛɹ why=wˌaɪ because=bɪkˈʌz so=sˌoʊ not=nˌɑːt "
    "though=ðˌoʊ indeed=ˌɪndˈiːd already=ɔːlɹˌɛdi beyond=bᵻjˌɔnd upon=əpˌɑːn within=wɪðˌɪn "
    "together=təɡˌɛðɚ sir=sˌɜː is=ɪz are=ɑːɹ was=wʌz were=wɜː be=biː been=bˌɪn being=bˌiːɪŋ am=æm "
    "have=hæv has=hɐz had=hæd having=hˌævɪŋ will=wɪl would=wʊd could=kʊd can=kæn should=ʃˌʊd might=mˌaɪt "
    "doing=dˌuːɪŋ going=ɡˌoʊɪŋ go=ɡˌoʊ get=ɡɛt got=ɡɑːt make=mˌeɪk made=mˌeɪd put=pˌʊt shall=ʃˌæl "
    "gonna=ɡˌənə n'=ən it'll=ˌɪɾəl i'm=aɪm i've=aɪv i'll=aɪl i'd=aɪd you're=jʊɹ you've=juːv you'll=juːl "
    "you'd=juːd he's=hiːz he'll=hiːl he'd=hiːd she's=ʃiːz she'll=ʃiːl she'd=ʃiːd it's=ɪts we're=wɪɹ "
    "we've=wiːv we'll=wiːl we'd=wiːd they're=ðɛɹ they've=ðeɪv they'll=ðeɪl they'd=ðeɪd that's=ðæts "
    "there's=ðɛɹz"
)
"""Inside a clause."""

LAST = _table(
    "to=tuː in=ˈɪn on=ˈɔn his=hˈɪz have=hˈæv has=hˈæz had=hˌæd is=ˈɪz be=bˈiː been=bˌɪn that=ðˈæt "
    "this=ðˈɪs those=ðˈoʊz there=ðˈɛɹ will=wˈɪl would=wˈʊd could=kˈʊd can=kˈæn should=ʃˈʊd so=sˈoʊ "
    "about=ɐbˈaʊt before=bᵻfˈɔːɹ up=ˈʌp over=ˈoʊvɚ under=ˈʌndɚ down=dˈaʊn without=wɪðˈaʊt "
    "between=bᵻtwˈiːn through=θɹˈuː what=wˈʌt how=hˈaʊ who=hˈuː where=wˈɛɹ why=wˈaɪ which=wˈɪtʃ go=ɡˈoʊ "
    "going=ɡˈoʊɪŋ doing=dˈuːɪŋ being=bˈiːɪŋ might=mˈaɪt while=wˈaɪl not=nˈɑːt am=ˈæm by=bˈaɪ got=ɡˈɑːt "
    "get=ɡˈɛt when=wˈɛn made=mˈeɪd make=mˈeɪk shall=ʃˈæl"
)
"""At the end of a clause."""

FIRST = _table("what=wˌʌt when=wˌɛn")
"""At the start of a clause."""

LINKED = _table("the=ðɪ to=tʊ it=ɪɾ at=æɾ")
"""Before a vowel."""

JOINED = _pairs(
    "of_the=ʌv in_the=ɪn on_the=ɔn for_the=fɚ from_the=fɹʌm with_the=wɪð was_the=wʌz that_the=ðæt of_a=əv "
    "of_an=əv at_a=æɾ for_a=fɚɹ for_an=fɚɹ not_a=nˌɑːɾ was_a=wʌz than_a=ðˌæn than_an=ðˌæn that_a=ðˌæɾ "
    "had_to=hæd will_to=wˈɪl do_not=duː does_not=dʌz did_not=dɪd has_not=həz there_are=ðɛɹ"
)
"""First words that espeak writes as one with the second, which keeps its own form."""

FUSED = _pairs(
    "to_be=təbi have_been=hɐvbɪn had_been=hɐdbɪn has_been=hˈæzbiːn have_not=hɐvnˌɑːt not_have=nˌɑːɾɐv "
    "would_have=wʊdhɐv could_have=kˌʊdɐv should_have=ʃˌʊdəv may_have=mˌeɪhɐv might_have=mˌaɪthɐv "
    "must_have=mˈʌstɐv we_shall=wiːʃˌɐl there_was=ðɛɹwˌʌz there_were=ðɛɹwˌɜː out_of=ˌaʊɾəv that_it=ðˌɐɾɪt "
    "no_one=nˈoʊwˈʌn no_more=nˈoʊmˌɔːɹ at_once=ɐtwˈʌns this_one=ðˈɪswˌʌn that_one=ðˈætwˌʌn "
    "some_one=sˈʌmwʌn of_which=ʌvwˈɪtʃ in_which=ɪnwˌɪtʃ i_am=aɪɐm"
)
"""Pairs that have a form of their own."""

BOTH = _two_forms(
    "abuse=ɐbjˈuːs/ɐbjˈuːz close=klˈoʊs/klˈoʊz conduct=kˈɑːndʌkt/kəndˈʌkt conflict=kˈɑːnflɪkt/kənflˈɪkt "
    "content=kˈɑːntɛnt/kəntˈɛnt contract=kˈɑːntɹækt/kəntɹˈækt contrast=kˈɑːntɹæst/kəntɹˈæst "
    "convict=kˈɑːnvɪkt/kənvˈɪkt desert=dˈɛzɚt/dᵻzˈɜːt dove=dˈʌv/dˈoʊv duplicate=dˈuːplɪkət/dˈuːplɪkˌeɪt "
    "estimate=ˈɛstᵻmət/ˈɛstᵻmˌeɪt excuse=ɛkskjˈuːs/ɛkskjˈuːz export=ˈɛkspɔːɹt/ɛkspˈɔːɹt "
    "graduate=ɡɹˈædʒuːət/ɡɹˈædʒuːˌeɪt house=hˈaʊs/hˈaʊz import=ˈɪmpɔːɹt/ɪmpˈɔːɹt "
    "increase=ˈɪŋkɹiːs/ɪŋkɹˈiːs insult=ˈɪnsʌlt/ɪnsˈʌlt live=lˈaɪv/lˈɪv read=ɹˈɛd/ɹˈiːd "
    "object=ˈɑːbdʒɛkt/əbdʒˈɛkt perfect=pˈɜːfɛkt/pɚfˈɛkt permit=pˈɜːmɪt/pɚmˈɪt present=pɹˈɛzənt/pɹɪzˈɛnt "
    "produce=pɹˈoʊduːs/pɹədˈuːs progress=pɹˈɑːɡɹɛs/pɹəɡɹˈɛs project=pɹˈɑːdʒɛkt/pɹədʒˈɛkt "
    "protest=pɹˈoʊtɛst/pɹətˈɛst rebel=ɹˈɛbəl/ɹᵻbˈɛl record=ɹˈɛkɚd/ɹᵻkˈɔːɹd refuse=ɹˈɛfjuːs/ɹᵻfjˈuːz "
    "reject=ɹˈiːdʒɛkt/ɹᵻdʒˈɛkt separate=sˈɛpɹət/sˈɛpɚɹˌeɪt subject=sˈʌbdʒɛkt/səbdʒˈɛkt "
    "survey=sˈɜːveɪ/sɚvˈeɪ suspect=sˈʌspɛkt/səspˈɛkt tear=tˈɪɹ/tˈɛɹ transfer=tɹˈænsfɜː/tɹænsfˈɜː "
    "transport=tɹˈænspɔːɹt/tɹænspˈɔːɹt upset=ˈʌpsɛt/ʌpsˈɛt use=jˈuːs/jˈuːz wind=wˈɪnd/wˈaɪnd "
    "wound=wˈuːnd/wˈaʊnd"
)
"""Noun (or adjective), and verb."""

BEFORE_VERB = word_set(
    "to will would can could shall should may might must cannot not don't doesn't didn't won't wouldn't "
    "can't couldn't shouldn't i you we they let let's please do does did i'll you'll we'll they'll he'll "
    "she'll it'll i'd you'd we'd they'd who always never often"
)
"""A word of ``BOTH`` that follows one of these is taken for a verb."""

MOSTLY_VERB = word_set("live produce read refuse")
BEFORE_NOUN = word_set(
    "a an the this that my your his her its our their of is was are were be been being have has had by no "
    "some any i've you've we've they've he's she's it's"
)
"""A word of ``MOSTLY_VERB`` is taken for the first form only after one of these."""
