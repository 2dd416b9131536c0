"""A short sentence in each language, for whoever tries a voice."""

from __future__ import annotations

SENTENCES = {
    "de": "Hallo, diese Stimme ist installiert und bereit zu sprechen.",
    "en": "Hello, this voice is installed and ready to speak.",
    "es": "Hola, esta voz está instalada y lista para hablar.",
    "fr": "Bonjour, cette voix est installée et prête à parler.",
    "it": "Ciao, questa voce è installata e pronta a parlare.",
    "ja": "こんにちは、音声の準備ができました。",
    "nl": "Hallo, deze stem is geïnstalleerd en klaar om te spreken.",
    "pt": "Olá, esta voz está instalada e pronta para falar.",
    "ru": "Здравствуйте, голос установлен и готов говорить.",
    "zh": "你好，语音已经安装好了，可以使用。",
}


def sentence(language: str) -> str:
    """In ``language`` ("en-us", "zh", ...), English where there is none."""
    return SENTENCES.get(base(language), SENTENCES["en"])


def base(language: str) -> str:
    """The language alone, without its country: "en" of "en_US"."""
    return language.replace("_", "-").split("-")[0].lower()
