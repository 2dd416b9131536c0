"""A student's weights to the stage file that the contract describes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from compress.prune.encoder import TeacherEncoder
from compress.prune.hifigan import HiFiGan
from compress.students.acoustic import Acoustic, ContourAcoustic
from compress.students.encoder import Encoder
from compress.students.vocoder import Vocoder

OPSET = 17
IR_VERSION = 9


def export(student: nn.Module) -> onnx.ModelProto:
    """The stage's ONNX graph, its time axis dynamic and its batch one, with the contract's input names."""
    inputs, outputs = signature(student)
    rate = "T" if isinstance(student, (Encoder, TeacherEncoder)) else "F"
    axes = {
        name: {value.dim() - 1: "samples" if name == "waveform" else rate}
        for name, value in {**inputs, **outputs}.items()
        if name != "speaker"
    }
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Positional(student, tuple(inputs)).eval(),
            tuple(inputs.values()),
            buffer,  # type: ignore[arg-type]  # the annotation leaves out what the function takes
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


class _Positional(nn.Module):
    """Exporters pass inputs by place; students take them by name."""

    def __init__(self, student: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.student, self.names = student, names

    def forward(self, *values: Tensor) -> Any:
        return self.student(**dict(zip(self.names, values, strict=True)))


def signature(student: nn.Module, steps: int = 24) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Example inputs by name, and outputs as placeholders of the right rank."""
    made: dict[str, Tensor] = {}
    results: dict[str, Tensor] = {}
    if isinstance(student, (Encoder, TeacherEncoder)):
        made["phonemes"] = torch.randint(student.config.symbols, (1, steps))
        if student.config.noise:
            made["noise"] = torch.randn(1, student.config.noise, steps)
        results = {"hidden": torch.empty(1, 1, 1), "durations": torch.empty(1, 1)}
    elif isinstance(student, Acoustic):
        made["frames"] = torch.randn(1, 2 * student.config.latents, steps)
        made["noise"] = torch.randn(1, student.config.latents, steps)
        results = {"latents": torch.empty(1, 1, 1)}
    elif isinstance(student, ContourAcoustic):
        made["frames"] = torch.randn(1, student.config.hidden, steps)
        results = {"latents": torch.empty(1, 1, 1)}
    elif isinstance(student, Vocoder):
        made["latents"] = torch.randn(1, student.config.latents, steps)
        if student.config.phase:
            made["phase"] = torch.randn(1, student.config.phase, steps)
        results = {"spectrum": torch.empty(1, 1, 1)}
    elif isinstance(student, HiFiGan):
        made["latents"] = torch.randn(1, student.config.latents, steps)
        results = {"waveform": torch.empty(1, 1)}
    else:
        raise TypeError(f"no stage of the contract is a {type(student).__name__}")
    if student.config.speaker:
        made["speaker"] = torch.randn(1, student.config.speaker)
    return made, results


def load_average(student: nn.Module, state: Mapping[str, Any]) -> nn.Module:
    """Put a checkpoint's averaged weights into the student."""
    student.load_state_dict(state["average"])
    return student.eval()
