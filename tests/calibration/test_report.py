"""The report is one well-formed page that fetches nothing, and says what the bundle says."""

from __future__ import annotations

import base64
import io
import re
import shutil
import struct
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from calibration.quantize import quantize
from calibration.report import charts, page, pictures, sections, tables, write
from calibration.report.words import MEANINGS
from calibration.samples import Samples, folder_of, keep, read, remake
from compress import report as verb
from edgevoice import budget, bundle, manifest
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from targets import load

VOID = {"meta", "img", "br", "link"}
TEXT = "One <b>bold</b> & two."


@pytest.fixture(scope="module")
def made(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny voice with an INT8 vocoder and every optional part of a manifest."""
    import tiny_bundle

    folder = tmp_path_factory.mktemp("report")
    plain = bundle.read(tiny_bundle.make(tiny_voice, folder / "plain"))
    vocoder = plain.manifest.stages["vocoder"]
    whole = plain.file(vocoder.chosen)
    rng = np.random.default_rng(0)
    channels = _channels(whole)
    windows = [{"latents": rng.normal(size=(1, channels, 40)).astype(np.float32)} for _ in range(8)]
    small = folder / "vocoder.int8.cpu.onnx"
    report = quantize(whole, small, windows)
    figure = manifest.Measure(0.21, 0.18, 0.24, 8, "FP32")
    rows = [
        msgspec.structs.replace(vocoder.variants[0], milliseconds=40.0),
        manifest.Variant(
            small.name,
            "int8",
            "onnxruntime",
            bytes=small.stat().st_size,
            milliseconds=25.0,
            quality={"log_mel_l1": figure},
            int8_operators=report.operators,
            left_out={"post<x>": 0.5},
        ),
    ]
    described = msgspec.structs.replace(
        plain.manifest,
        stages={
            **plain.manifest.stages,
            "vocoder": msgspec.structs.replace(
                vocoder, variants=rows, chosen=small.name, reason="1.6 times & good"
            ),
        },
        calibration=manifest.Calibration(24, "ab" * 32, "percentile", {"symbols": 1.0, "surprise": 0.1}),
        quality={"log_mel_l1": figure},
        failed_gate=["log_mel_l1 is 0.210, at most 0.1 is allowed"],
    )
    sources = {name: plain.file(name) for name in plain.manifest.files}
    return bundle.write(folder / "made", described, {**sources, small.name: small})


def _channels(path: Path) -> int:
    import onnx

    return int(onnx.load(str(path)).graph.input[0].type.tensor_type.shape.dim[1].dim_value)


def sounds(count: int, rate: int = 16000, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [0.1 * rng.normal(size=rate // 2).astype(np.float32) for _ in range(count)]


SEARCHED = {
    "ranking": [
        {"group": {"name": "dec/res", "layers": ["r"], "share": 0.9}, "loss": 0.1},
        {"group": {"name": "dec/post", "layers": ["p"], "share": 0.1}, "loss": 0.6},
        {"group": {"name": "dec/late", "layers": ["l"], "share": 0.1}, "loss": None},
    ],
    "chosen": ["dec/res"], "left": {"dec/post": 0.6}, "exclude": ["p"], "loss": 0.1, "share": 0.9,
    "limit": 0.3,
    "evaluations": 3, "complete": False, "curve": [[0.9, 0.1], [0.1, 0.6]],
}  # fmt: skip


@pytest.fixture(scope="module")
def whole_page(made: Bundle) -> str:
    samples = Samples(
        16000,
        (TEXT,),
        {"fp32": sounds(1), "chosen": sounds(1, seed=1)},
        {"vocoder.int8.cpu.onnx": SEARCHED},
        "edgevoice compress x",
    )
    return page(made, samples, budget.of(made.manifest, load("orin-nano-8gb")))


class Checker(HTMLParser):
    """Keeps the tags that are open, what is fetched, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.counts: dict[str, int] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


def test_page_is_well_formed_and_fetches_nothing(whole_page: str):
    found = checked(whole_page)
    assert found.counts["audio"] == 2
    assert found.counts["img"] == 3
    assert found.fetched
    assert all(value.startswith("data:") for value in found.fetched)
    assert not re.search(r"url\(|@import|https?:", whole_page)


def test_page_says_what_the_bundle_says(whole_page: str, made: Bundle):
    text = checked(whole_page).text
    for said in (
        made.manifest.voice.name, TEXT, "failed the quality gate", "at most 0.1 is allowed",
        "1.6 times & good",
        "0.180 to 0.240", "24 sentences", made.id, "edgevoice compress x", "ran out of time", "QLinearConv",
        "orin_nano_8gb", "Judged on 8 sentences", "0 to 8 kHz", "+2 nepers", "−9.5",
        "DNSMOS and Speaker similarity were not measured",
    ):  # fmt: skip
        assert said in text, said
    assert "<th>DNSMOS</th>" not in whole_page


def test_a_measure_that_was_taken_has_its_column(made: Bundle):
    vocoder = made.manifest.stages["vocoder"]
    quality = {"dnsmos_overall": manifest.Measure(-0.02, -0.03, -0.01, 8)}
    rows = [vocoder.variants[0], msgspec.structs.replace(vocoder.variants[1], quality=quality)]
    stages = {**made.manifest.stages, "vocoder": msgspec.structs.replace(vocoder, variants=rows)}
    text = page(Bundle(made.path, msgspec.structs.replace(made.manifest, stages=stages), made.id), None, None)
    assert "<th>DNSMOS</th>" in text
    assert "-0.02" in checked(text).text
    assert "Speaker similarity was not measured" in text


def test_int8_is_only_asked_of_tensorrt(made: Bundle):
    counted = {"Conv": 12}
    rows = [manifest.Variant(f"v.{engine}.onnx", "int8", engine, int8_operators=counted)
            for engine in ("onnxruntime", "tensorrt")]  # fmt: skip
    assert [tables.COLUMNS[-1].cell(row) for row in rows] == ["12 Conv", "asked for: 12 Conv"]


def test_a_bare_fp32_bundle_still_makes_a_page(made: Bundle):
    stages = {
        name: msgspec.structs.replace(stage, variants=stage.variants[:1], chosen=stage.variants[0].file)
        for name, stage in made.manifest.stages.items()
    }
    bare = msgspec.structs.replace(made.manifest, stages=stages, calibration=None, quality={}, failed_gate=[])
    text = checked(page(Bundle(made.path, bare, made.id), None, None)).text
    assert "passed the quality gate" in text
    assert "Nothing was calibrated" in text
    assert "No samples" in text


def test_measures_are_explained(whole_page: str, made: Bundle):
    assert MEANINGS.keys() == sections.NAMES.keys()
    text = checked(whole_page).text
    told = {name for name, meaning in MEANINGS.items() if meaning in text}
    assert told == set(made.manifest.quality) & set(MEANINGS)
    assert told


def test_the_scale_of_the_distance_is_the_voice_s_own(made: Bundle):
    kept = Samples(16000, (), {}, seeds_apart=0.1234)
    assert "two noise seeds of this voice in FP32 are 0.123 apart" in page(made, kept, None)
    assert "noise seeds" not in page(made, None, None)


def test_a_model_card_is_shown_without_its_markdown(made: Bundle):
    lineage = "# Card of <joe>\n\n* **License**: CC0\n  - Speakers: 1 * 1\n\n## Training\nFine."
    licence = manifest.Licence("CC0", lineage)
    voice = msgspec.structs.replace(made.manifest.voice, licence=licence)
    text = page(Bundle(made.path, msgspec.structs.replace(made.manifest, voice=voice), made.id), None, None)
    wanted = "<b>Card of &lt;joe&gt;</b><br>• License: CC0<br>• Speakers: 1 * 1<br><b>Training</b><br>Fine."
    assert wanted in text
    checked(text)


def test_a_search_is_headed_by_its_file_and_whether_that_travels(made: Bundle):
    vocoder = made.manifest.stages["vocoder"]
    other = manifest.Variant("vocoder.int8.onnx", "int8", "tensorrt", left_out={"post": 0.4})
    described = _with(made.manifest, "vocoder", tried=[other])
    found = {name: SEARCHED for name in (vocoder.chosen, other.file)}
    text = page(replace(made, manifest=described), Samples(16000, (), {}, found), None)
    assert "<h3>vocoder.int8.cpu.onnx, travels</h3>" in text
    assert "<h3>vocoder.int8.onnx, tried and left behind</h3>" in text
    bare = page(replace(made, manifest=described), None, None)
    assert "<h3>vocoder.int8.onnx, tried and left behind: left in floating point</h3>" in bare


def test_the_kept_search_and_command_stay_where_other_text_is_spoken(made: Bundle, tmp_path: Path):
    mine = replace(made, path=tmp_path / "bundle")
    shutil.copytree(made.path, mine.path)
    keep(mine, Samples(16000, ("a",), {"fp32": sounds(1)}, {"vocoder.int8.cpu.onnx": SEARCHED}, "made by x"))
    found = verb._samples(mine, ["hello there."], None)
    assert found is not None
    assert (found.texts, list(found.sounds)) == (("hello there.",), ["fp32", "chosen"])
    assert found.rate == made.manifest.voice.sample_rate
    assert (set(found.sensitivity), found.command) == ({"vocoder.int8.cpu.onnx"}, "made by x")


def test_left_out_layers_are_drawn_without_a_kept_search(made: Bundle):
    assert "post&lt;x&gt;" in page(made, None, None)


def test_layers_without_a_figure_say_why(made: Bundle):
    vocoder = made.manifest.stages["vocoder"]
    left = {"post": 0.5, "timing": None}
    row = msgspec.structs.replace(vocoder.variants[1], left_out=left, unmeasured=["late"])
    described = _with(made.manifest, "vocoder", variants=[vocoder.variants[0], row])
    text = page(replace(made, manifest=described), None, None)
    drawn = text[text.index("<h2>Sensitivity") :]
    bars = drawn[: drawn.index("</svg>")]
    assert "post" in bars
    assert "timing" not in bars
    assert re.search(r"1 layers or groups .* on purpose.*<p>timing</p>", drawn)
    assert re.search(r"1 layers or groups .* ran out of time.*<p>late</p>", drawn)


def test_tiles_are_of_one_configuration(made: Bundle):
    """Where FP32 is for ONNX Runtime and INT8 for TensorRT, the size stands beside its own quality."""
    described = made.manifest
    for name, stage in made.manifest.stages.items():
        plain = msgspec.structs.replace(stage.variants[0], bytes=8 << 20)
        half = manifest.Variant(f"{name}.fp16.onnx", "fp16", "tensorrt", bytes=4 << 20)
        small = manifest.Variant(f"{name}.int8.onnx", "int8", "tensorrt", bytes=2 << 20)
        described = _with(described, name, variants=[plain, half, small], chosen=plain.file)
    tiles = sections.head(replace(made, manifest=described), None)
    assert "Size of the stages, INT8</small><b>6.0 MiB</b><small>FP32 24.0 MiB" in tiles
    assert "Log-mel distance to FP32, INT8</small><b>0.210" in tiles
    assert "Faster than FP32" not in tiles


def _with(described: manifest.Manifest, name: str, **changes: object) -> manifest.Manifest:
    stage = msgspec.structs.replace(described.stages[name], **changes)
    return msgspec.structs.replace(described, stages={**described.stages, name: stage})


def test_samples_are_kept_whole_and_come_back(made: Bundle):
    samples = Samples(
        16000,
        ("a", "b"),
        {"fp32": sounds(2), "chosen": sounds(2, seed=2)},
        {"vocoder.int8.cpu.onnx": SEARCHED},
        "x",
        0.25,
    )
    keep(made, samples)
    keep(made, samples)
    again = read(made)
    assert again is not None
    assert list(again.sounds) == ["fp32", "chosen"]
    assert np.abs(again.sounds["chosen"][1] - samples.sounds["chosen"][1]).max() < 1e-4
    assert again.sensitivity == samples.sensitivity
    assert (again.command, again.seeds_apart) == ("x", 0.25)
    beside = {path.name for path in made.path.parent.iterdir() if path.name.startswith((".made", "made"))}
    assert beside == {"made", "made.samples"}
    bundle.read(made.path)


def test_damaged_and_uneven_samples_are_refused(made: Bundle):
    with pytest.raises(EdgevoiceError, match="one sound for each"):
        keep(made, Samples(16000, ("a",), {"fp32": sounds(2)}))
    keep(made, Samples(16000, ("a",), {"fp32": sounds(1)}))
    for name, data in (("0.fp32.flac", b"no sound"), ("samples.json", b"{")):
        (folder_of(made.path) / name).write_bytes(data)
        with pytest.raises(EdgevoiceError, match="damaged"):
            read(made)
    assert read(replace(made, path=made.path.parent / "other")) is None


def test_sounds_of_another_bundle_are_not_shown(made: Bundle, tmp_path: Path):
    """As where a bundle was copied over another one, whose samples stayed."""
    mine = replace(made, path=tmp_path / "bundle")
    shutil.copytree(made.path, mine.path)
    other = msgspec.structs.replace(made.manifest, quality={"log_mel_l1": manifest.Measure(1.0, 1.0, 1.0, 1)})
    keep(replace(mine, manifest=other), Samples(16000, ("a",), {"fp32": sounds(1)}))
    with pytest.raises(EdgevoiceError, match=f"another bundle than .*{made.id[:16]}.*--text"):
        read(mine)
    app = typer.Typer()
    app.command("other")(lambda: None)
    verb.register(app)
    out = tmp_path / "a.html"
    command = ["report", str(mine.path), "-o", str(out)]
    assert CliRunner().invoke(app, command).exit_code != 0
    assert not out.exists()
    assert CliRunner().invoke(app, [*command, "--text", "hi."]).exit_code == 0


def test_sounds_stay_a_bundles_own_when_it_is_signed(made: Bundle, tmp_path: Path):
    mine = replace(made, path=tmp_path / "bundle")
    keep(mine, Samples(16000, ("a",), {"fp32": sounds(1)}))
    signed = replace(mine, manifest=msgspec.structs.replace(made.manifest, serial=7), id="f" * 64)
    assert read(signed) is not None


def test_what_is_remade_of_a_bundle_for_a_gpu_is_the_cpu_s(made: Bundle):
    """TensorRT's files may be smaller, and are not heard."""
    vocoder = made.manifest.stages["vocoder"]
    half = manifest.Variant("vocoder.fp16.onnx", "fp16", "tensorrt")
    for_gpu = _with(made.manifest, "vocoder", variants=[*vocoder.variants, half])
    found = remake(replace(made, manifest=for_gpu), ["hello there."])
    assert list(found.sounds) == ["fp32", "cpu"]
    assert "As it speaks on a CPU" in page(made, found, None)


def test_samples_are_remade_from_the_bundles_own_files(made: Bundle):
    found = remake(made, ["hello there."])
    assert list(found.sounds) == ["fp32", "chosen"]
    first, second = found.sounds["fp32"][0], found.sounds["chosen"][0]
    assert len(first) == len(second) > 0
    assert not np.array_equal(first, second)


def test_a_bundle_that_chose_fp32_is_not_heard_as_its_smallest_files(tiny_bundle: Path):
    assert list(remake(bundle.read(tiny_bundle), ["hello there."]).sounds) == ["fp32"]


def test_the_verb_writes_the_page(made: Bundle, tmp_path: Path):
    app = typer.Typer()
    app.command("other")(lambda: None)
    verb.register(app)
    out = tmp_path / "deep" / "report.html"
    done = CliRunner().invoke(
        app, ["report", str(made.path), "-o", str(out), "--text", "hello.", "--text", "you."]
    )
    assert done.exit_code == 0, done.output
    assert checked(out.read_text()).counts["audio"] == 4
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_a_deployed_folder_has_the_page_of_its_release(made: Bundle, tmp_path: Path):
    root = tmp_path / "device"
    release = root / "releases" / made.id[:16]
    shutil.copytree(made.path, release)
    (root / "edgevoice.lock").touch()
    (root / "current").symlink_to(f"releases/{release.name}")
    app = typer.Typer()
    app.command("other")(lambda: None)
    verb.register(app)
    done = CliRunner().invoke(app, ["report", str(root), "-o", str(tmp_path / "a.html"), "--text", "hi."])
    assert done.exit_code == 0, done.output
    assert made.id in (tmp_path / "a.html").read_text()


def test_a_bundle_for_a_profile_that_is_not_here_has_no_memory_plan(made: Bundle, tmp_path: Path):
    provenance = msgspec.structs.replace(made.manifest.provenance, target="my_board")
    described = msgspec.structs.replace(made.manifest, provenance=provenance)
    files = {name: made.file(name) for name in made.manifest.files}
    other = bundle.write(tmp_path / "other", described, files)
    app = typer.Typer()
    app.command("other")(lambda: None)
    verb.register(app)
    out = tmp_path / "a.html"
    done = CliRunner().invoke(app, ["report", str(other.path), "-o", str(out), "--text", "hi."])
    assert done.exit_code == 0, done.output
    assert "no memory plan: there is no target 'my_board'" in done.output
    assert "Memory plan" not in out.read_text()


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgevoiceError, match="cannot be written"):
        write(tmp_path / "file" / "report.html", "x")


def numbers(svg: str, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf'{name}="(-?[\d.]+)"', svg)]


def test_charts_stay_in_their_box():
    rows = [charts.Bar(f"layer {'x' * 80} {k}", k / 7, f"{k / 7:.2f}") for k in range(8)]
    points = [charts.Point(k, 0.1 * k % 0.35, f"point {k}") for k in range(9)]
    drawn = (
        charts.bars(rows, "bars", full=2.0),
        charts.scatter(points, "scatter", "across", "up", 0.2, front=True),
        charts.stacked(rows[:4], 2.0, 10.0, "stack", "budget"),
    )
    for svg in drawn:
        box = ElementTree.fromstring(svg).attrib["viewBox"].split()
        wide, high = float(box[2]), float(box[3])
        assert all(0 <= x <= wide for x in numbers(svg, "x") + numbers(svg, "cx") + numbers(svg, "x2"))
        assert all(0 <= y <= high for y in numbers(svg, "y") + numbers(svg, "cy") + numbers(svg, "y2"))


def test_charts_take_zeros_and_nothing():
    assert "<svg" in charts.bars([], "none")
    assert "nan" not in charts.bars([charts.Bar("a", 0.0, "0")], "zero")
    assert "nan" not in charts.scatter([charts.Point(0.0, 0.0)], "zero", "x", "y")


def test_the_front_is_the_lower_right_edge():
    points = [charts.Point(1, 1), charts.Point(2, 3), charts.Point(3, 2), charts.Point(4, 4)]
    assert [(p.x, p.y) for p in charts._front(points)] == [(1, 1), (3, 2), (4, 4)]


def png(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    wide, high = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT")
    size = struct.unpack(">I", data[start - 4 : start])[0]
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + size]), np.uint8)
    return rows.reshape(high, 3 * wide + 1)[:, 1:].reshape(high, wide, 3)


def test_spectrogram_has_low_tones_at_the_bottom_and_equal_sounds_make_white():
    rate = 16000
    low = np.sin(2 * np.pi * 200 * np.arange(rate) / rate)
    light = png(pictures.spectrogram(low, rate)).astype(int).sum(axis=2).mean(axis=1)
    assert light.argmax() > 0.8 * light.size
    same = pictures.difference(low, low, rate)
    assert same is not None
    assert np.all(png(same) == 247)
    assert pictures.difference(low, low[: rate // 2], rate) is None


def test_sounds_are_flac_that_plays_back():
    sound = sounds(1)[0]
    data = base64.b64decode(pictures.audio(sound, 16000).partition(",")[2])
    again, rate = soundfile.read(io.BytesIO(data))
    assert rate == 16000
    assert np.abs(again - sound).max() < 1e-4


def test_a_student_is_shown_against_its_teacher(tiny_bundle: Path) -> None:
    plain = bundle.read(tiny_bundle).manifest
    assert sections.student(plain) == ""
    far, near, ratio = (manifest.Measure(mean, mean, mean, 50, "teacher") for mean in (0.356, 0.321, 7.4))
    found = manifest.AgainstTeacher({"log_mel_l1": near}, {"log_mel_l1": far}, {"teacher_by_student": ratio})
    shown = sections.student(msgspec.structs.replace(plain, against_teacher=found))
    assert shown.index("<td>0.356</td>") < shown.index("<td>0.321</td>")
    assert "7.4 times as fast" in shown


def _student(shipped: dict[str, manifest.Measure]) -> manifest.AgainstTeacher:
    seconds, times = manifest.Measure(0.021, 0.02, 0.022, 5), manifest.Measure(36.8, 33.7, 39.9, 5)
    return manifest.AgainstTeacher({}, shipped, {"student": seconds, "teacher_by_student": times})


def test_a_student_s_tiles_are_against_its_teacher(made: Bundle) -> None:
    far = manifest.Measure(0.439, 0.423, 0.457, 50, "teacher")
    described = msgspec.structs.replace(made.manifest, against_teacher=_student({"log_mel_l1": far}))
    shown = sections.head(replace(made, manifest=described), None)
    assert "Log-mel distance to the teacher, FP32, INT8</small><b>0.439" in shown
    assert "Faster than its teacher</small><b>36.8 times</b><small>21 ms a second of sound" in shown
    assert "<small>student of </small>tiny" in shown
    assert "0.210</b>" not in shown


def test_what_the_sentences_do_not_decide_is_said(made: Bundle) -> None:
    words = manifest.Measure(0.029, 0.004, 0.058, 50, "teacher", "at most 0.015", "open")
    described = msgspec.structs.replace(
        made.manifest, failed_gate=[], against_teacher=_student({"wer": words})
    )
    shown = sections.head(replace(made, manifest=described), None)
    assert "passed the quality gate, not decided everywhere" in shown
    assert "0.029 (0.004 to 0.058); at most 0.015 is asked, and 50 sentences do not decide it" in shown
    assert "not decided" not in sections.head(
        replace(made, manifest=msgspec.structs.replace(made.manifest, failed_gate=[])), None
    )


def test_measures_stand_in_one_order_with_what_is_asked(made: Bundle) -> None:
    """Whatever order the manifest has; the classes of sounds are folded below."""
    cosine = manifest.Measure(0.94, 0.93, 0.95, 50, "teacher", "at least 0.88", "met")
    plain = manifest.Measure(0.4, 0.3, 0.5, 50, "teacher")
    figures = {"log_mel_vowel": plain, "speaker_cosine": cosine, "log_mel_l1": plain}
    shown = sections.student(msgspec.structs.replace(made.manifest, against_teacher=_student(figures)))
    places = [shown.index(name) for name in ("distance, nepers", "similarity", "By class", "in vowels")]
    assert places == sorted(places)
    assert 'at least 0.88: <b class="met">met</b>' in shown
