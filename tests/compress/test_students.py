"""Students: bounded context, padding that is not seen, and files that equal the network."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from compress.receptive import context  # noqa: E402
from compress.students.acoustic import Acoustic, AcousticConfig, ContourAcoustic, ContourConfig  # noqa: E402
from compress.students.encoder import Encoder, EncoderConfig  # noqa: E402
from compress.students.export import export, signature  # noqa: E402
from compress.students.vocoder import OverlapAdd, Vocoder, VocoderConfig  # noqa: E402
from edgevoice.runtime.spectrum import overlap_add  # noqa: E402

SMALL = VocoderConfig(latents=5, hop=16, n_fft=64, width=12, kernels=(5, 3))
STUDENTS = {
    "vocoder": lambda: Vocoder(SMALL),
    "driven vocoder": lambda: Vocoder(
        VocoderConfig(latents=5, hop=16, n_fft=64, width=12, kernels=(3,), phase=4, speaker=3)
    ),
    "sourced vocoder": lambda: Vocoder(
        VocoderConfig(latents=5, hop=16, n_fft=64, width=12, kernels=(3,), phase=4, speaker=3, source=True)
    ),
    "acoustic": lambda: Acoustic(AcousticConfig(latents=6, width=12, kernels=(5, 3))),
    "contour acoustic": lambda: ContourAcoustic(
        ContourConfig(hidden=6, latents=4, width=12, kernels=(5, 3), speaker=3)
    ),
    "encoder": lambda: Encoder(
        EncoderConfig(
            symbols=9,
            hidden=8,
            width=12,
            kernels=(5, 3),
            attention_after=(1,),
            duration_kernels=(3,),
            noise=2,
        )
    ),
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    student = STUDENTS[name]().eval()
    for value in student.parameters():  # zeros at the start would hide whole branches
        nn.init.normal_(value, std=0.2)
    return student


@pytest.mark.parametrize("name", STUDENTS)
def test_the_file_equals_the_network_at_any_length(name: str) -> None:
    student = made(name)
    model = export(student)
    assert model.ir_version <= 10
    assert model.opset_import[0].version <= 19
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for steps in (24, 61):
        inputs, outputs = signature(student, steps)
        with torch.no_grad():
            expected = student(**inputs)
        expected = expected if isinstance(expected, tuple) else (expected,)
        answers = session.run(list(outputs), {name: value.numpy() for name, value in inputs.items()})
        for ours, theirs in zip(expected, answers, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["vocoder", "driven vocoder", "sourced vocoder", "acoustic", "contour acoustic"]
)
def test_the_stated_context_is_what_the_student_sees(name: str) -> None:
    student = made(name)
    inputs, _ = signature(student, 60)
    stream = "frames" if "frames" in inputs else "latents"
    changed = {**inputs, stream: inputs[stream].clone()}
    changed[stream][:, :, 30] += 1.0
    with torch.no_grad():
        moved = (student(**inputs) - student(**changed)).abs().amax((0, 1)).nonzero().flatten()
    assert (int(moved.min()), int(moved.max())) == (30 - student.context, 30 + student.context)
    assert context(export(student), stream) == student.context


def test_the_host_turns_a_spectrum_into_the_sound_that_was_trained() -> None:
    spectrum = torch.randn(1, SMALL.n_fft + 2, 20)
    spectrum[:, SMALL.n_fft // 2 + 1] = spectrum[:, -1] = 0  # a real signal has none at 0 Hz and the top
    ours = OverlapAdd(SMALL.n_fft, SMALL.hop)(spectrum)[0]
    np.testing.assert_allclose(ours.numpy(), overlap_add(spectrum[0].numpy(), SMALL.hop), atol=1e-5)


def test_padding_is_not_seen_by_the_encoder() -> None:
    encoder = made("encoder")
    phonemes, noise = torch.randint(9, (2, 17)), torch.randn(2, 2, 17)
    present = torch.ones(2, 17)
    present[1, 11:] = 0
    with torch.no_grad():
        hidden, durations = encoder(phonemes, noise, present=present)
        alone, alone_durations = encoder(phonemes[1:, :11], noise[1:, :, :11])
    torch.testing.assert_close(hidden[1:, :, :11], alone)
    torch.testing.assert_close(durations[1:, :11], alone_durations)


def test_an_untrained_acoustic_student_samples_the_prior() -> None:
    student = Acoustic(AcousticConfig(latents=3, width=8, kernels=(3,)))
    frames, noise = torch.randn(1, 6, 9), torch.randn(1, 3, 9)
    expected = frames[:, :3] + noise * torch.exp(frames[:, 3:])
    torch.testing.assert_close(student(frames, noise), expected)
