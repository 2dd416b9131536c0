"""Where a recipe's students come from, and the voice that they make with the teacher's other stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compress.corpus import Corpus
from compress.distil.config import DistilConfig
from compress.recipe import Recipe
from compress.staged import StagedStage, StagedVoice
from edgevoice import install, manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName


@dataclass(frozen=True)
class Origin:
    """``training``: the folder of labels and runs, one beside the bundle if None; ``as_trained``: taken as it
    stands. ``weights``: a folder of weights to take instead of any training.
    """

    training: Path | None = None
    as_trained: bool = False
    weights: Path | None = None

    def check(self, recipe: Recipe) -> None:
        """Refuse what does not go together, before any work."""
        if recipe.distil is None and self != Origin():
            raise EdgevoiceError(
                "--training, --as-trained and --weights are for students: "
                f"recipe {recipe.name} has no [distil] table"
            )
        if recipe.distil is None and recipe.student_gate:
            raise EdgevoiceError(f"recipe {recipe.name}: [student_gate] needs a [distil] table")
        if self.weights is not None:
            self._check_weights(self.weights)
        elif self.as_trained and self.training is None:
            raise EdgevoiceError("--as-trained takes what a training folder holds: name it with --training")
        elif self.as_trained and self.training and not (self.training / "labels").is_dir():
            raise EdgevoiceError(f"{self.training} holds no labels: leave out --as-trained to make them")

    def _check_weights(self, folder: Path) -> None:
        if self.training or self.as_trained:
            raise EdgevoiceError("--weights needs no training: leave out --training and --as-trained")
        if not folder.is_dir():
            raise EdgevoiceError(f"{folder} is no folder: name one that holds STAGE.safetensors files")


def refuse_unfit(voice: StagedVoice, recipe: Recipe) -> None:
    """Refuse a voice that the recipe's students cannot be of, or that speaks through students only."""
    config = recipe.students()
    driven = config is not None and bool(config.vocoder and config.vocoder.harmonics)
    if voice.phase is not None:
        if not driven:
            raise EdgevoiceError(
                f"{voice.name} cannot speak in chunks, but students of it can: use --recipe distill-kokoro"
            )
        return
    if config is None:
        return
    if voice.speakers is not None:
        raise EdgevoiceError(
            f"{voice.name} has {len(voice.speakers)} speakers: students are made of voices with one so far;"
            " use --recipe quantize"
        )
    if driven or (config.acoustic is not None and config.acoustic.latents):
        raise EdgevoiceError(
            f"recipe {recipe.name} is for a voice with a sine source, which {voice.name} has not"
        )


def student_of(
    voice: StagedVoice, recipe: Recipe, origin: Origin, home: Path, corpus: Corpus, say: Callable[[str], None]
) -> StagedVoice:
    """``voice`` with the recipe's students in place of its stages; ``home``: the default training folder."""
    config = recipe.students()
    assert config is not None
    try:
        from compress.distil import produce
    except ModuleNotFoundError as error:
        raise EdgevoiceError(
            f"recipe {recipe.name} makes students and needs {error.name}, which is not installed: "
            f"{install.command('train')}"
        ) from None
    if origin.weights is not None:
        say(f"taking students from {origin.weights}")
        stages = produce.from_weights(voice, config, origin.weights)
    else:
        stages = produce.from_training(
            voice,
            config,
            origin.training or home,
            corpus.labelling,
            recipe.labels,
            origin.as_trained,
            say,
        )
    return _replaced(voice, config, stages)


def _replaced(voice: StagedVoice, config: DistilConfig, stages: dict[StageName, StagedStage]) -> StagedVoice:
    spectrum, phase = voice.spectrum, voice.phase
    if "vocoder" in stages:
        rows = {tensor.name: tensor for tensor in stages["vocoder"].model.graph.output}.get("spectrum")
        wide = rows.type.tensor_type.shape.dim[1].dim_value if rows is not None else 0
        wide //= 2 if config.vocoder is not None and config.vocoder.source else 1
        spectrum = manifest.Spectrum(wide - 2) if wide else None
    if config.vocoder is not None and config.vocoder.harmonics and config.acoustic is not None:
        components = config.acoustic.latents
        driver = config.vocoder
        phase = manifest.Phase(driver.harmonics, components, components + 1, driver.source)
    return replace(voice, stages={**voice.stages, **stages}, spectrum=spectrum, phase=phase, chunked=True)
