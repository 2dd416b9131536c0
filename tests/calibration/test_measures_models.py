"""Measures by networks that optional packages carry; skipped where those are not installed."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.measures import available, compare, dnsmos, speaker, words
from edgevoice import Voice

RATE = 16000


def needs(group: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        group not in available(), reason=f"packages of the measure {group!r} are missing"
    )


def buzz(hertz: float, formant: float, seconds: float = 2.0) -> np.ndarray:
    """Pulses through one resonance: enough of a voice for a speaker encoder."""
    time = np.arange(int(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(7000 / hertz))
    gains = 1.0 / (1.0 + ((harmonics * hertz - formant) / 300.0) ** 2)
    sound = (gains[:, None] * np.sin(2 * np.pi * hertz * harmonics[:, None] * time)).sum(axis=0)
    return 0.1 * sound / np.abs(sound).max() * (1 + np.sin(2 * np.pi * 3 * time))


@needs("speaker")
def test_speaker_similarity_orders_voices():
    low, high = buzz(90, 500), buzz(240, 1800)
    assert speaker.cosine(low, low, RATE) == pytest.approx(1.0, abs=1e-6)
    assert speaker.cosine(low, buzz(92, 500), RATE) > speaker.cosine(low, high, RATE) + 0.05


@needs("speaker")
def test_speaker_network_equals_the_package_own():
    torch = pytest.importorskip("torch")
    weights = speaker._weights()
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict(
        {
            name[5:]: torch.from_numpy(np.array(value))
            for name, value in weights.items()
            if name.startswith("lstm.")
        }
    )
    mel = np.random.default_rng(0).uniform(0, 1, (2, 160, 40)).astype(np.float32)
    with torch.no_grad():
        _, (hidden, _) = lstm(torch.from_numpy(mel))
    raw = np.maximum(0, hidden[-1].numpy() @ weights["linear.weight"].T + weights["linear.bias"])
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(speaker._encode(mel) - expected).max() < 1e-5


@needs("dnsmos")
def test_dnsmos_hears_hiss():
    clean = buzz(110, 600, 3.0)
    hissing = clean + np.random.default_rng(0).normal(0, 0.05, clean.size)
    before, after = dnsmos.dnsmos(clean, RATE), dnsmos.dnsmos(hissing, RATE)
    assert 1.0 <= after.background < before.background <= 5.0
    assert dnsmos.dnsmos(clean, RATE) == before


@needs("stoi")
def test_stoi_falls_with_noise():
    clean = buzz(110, 600, 3.0)
    noise = np.random.default_rng(0).normal(0, 0.2, clean.size)
    found = compare([clean, clean], [clean, clean + noise], RATE, groups=("stoi",)).sentences["stoi"]
    assert found[0] == pytest.approx(1.0, abs=1e-3)
    assert found[1] < found[0] - 0.05


@needs("words")
def test_the_recogniser_hears_what_the_packaged_voice_says():
    text = "The young boy gave no clear response."
    voice = Voice.load()
    sound = np.concatenate(list(voice.stream(text, seed=0)))
    errors, count = words.word_errors(text, words.transcribe(sound, voice.sample_rate))
    assert count == 7
    assert errors <= 1
