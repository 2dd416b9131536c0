"""Which calibration method suits a stage: each is tried on the whole of it, since the ranges cost nothing
more."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from calibration.quantize import quantize
from calibration.ranges import METHODS, Histogram
from calibration.trials import Render, mean_loss
from edgevoice.progress import track


def best_method(
    model: str | Path,
    render: Render,
    rate: int,
    histograms: Mapping[str, Histogram],
    *,
    form: str = "cpu",
    exclude: Collection[str] = (),
) -> tuple[str, dict[str, float]]:
    """The method that loses least in log-mel L1, and what each loses; one trial a method.

    render: waveforms of whole unseen sentences from the stage's file, as in `calibration.sensitivity.search`.
    None is best everywhere: against min-max, percentile took a quarter off the loss of a HiFi-GAN and added
    two thirds to that of a ConvNeXt vocoder in the TensorRT form.
    """
    reference = render(Path(model))
    losses: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for method in track(METHODS, "calibration: methods"):
            path = Path(folder) / f"{method}.onnx"
            quantize(
                model, path, form=form, method=method, exclude=exclude, histograms=histograms, check=False
            )
            losses[method] = mean_loss(reference, render(path), rate)
    return min(METHODS, key=lambda method: losses[method]), losses
