"""Profiles: every shipped one loads, every fault of a user's own is named in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import targets
from targets import profile, toml
from targets.errors import TargetError
from targets.memory import Memory
from targets.profile import GIB, MIB

REFUSED = {"agx_xavier_32gb", "jetson_nano_4gb"}
ASKED_FOR = {
    "orin_nano_4gb",
    "orin_nano_8gb",
    "orin_nano_8gb_super",
    "orin_nx_8gb",
    "orin_nx_16gb",
    "agx_orin_32gb",
    "agx_orin_64gb",
    "agx_xavier_32gb",
    "jetson_nano_4gb",
    "thor_t4000",
    "thor_t5000",
    "rtx_3050_8gb",
    "rtx_3060_12gb",
    "rtx_4060_laptop",
    "t4",
    "l4",
    "cpu",
}


def good() -> dict[str, Any]:
    """A small valid profile, as TOML gives it."""
    return {
        "id": "board",
        "name": "A Board",
        "kind": "jetson",
        "family": "orin",
        "engine": "tensorrt",
        "precisions": ["fp16", "int8"],
        "shared_memory": True,
        "figures": {
            "compute_capability": {"value": "8.7", "confirmed": True, "source": "a list"},
            "memory_gib": {"value": 8, "confirmed": True, "source": "its name"},
            "last_jetpack": {"value": "7.2", "confirmed": False, "source": "hearsay"},
        },
        "power_modes": {"1": "7W", "0": "15W"},
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good profile with the key at `path` (dots between levels) set, or taken out where value is None."""
    raw = good()
    *folders, last = path.split(".")
    place = raw
    for folder in folders:
        place = place[folder]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return raw


def test_all_devices_that_were_asked_for_are_shipped() -> None:
    assert set(targets.names()) == ASKED_FOR


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
def test_a_shipped_profile_reads_and_carries_its_sources(name: str) -> None:
    target = profile.read(name)
    assert target.id == name
    assert 0 < target.budget_bytes <= target.memory_bytes
    assert target.budget_rule
    facts = [target.bandwidth_gb_s, target.fp16_dense_tflops, target.int8_dense_tops, target.int8_sparse_tops]
    sources = {figure.key: figure.source for figure in target.figures}
    known = sum(fact is not None for fact in facts)
    assert known == len(
        sources.keys() & {"bandwidth_gb_s", "fp16_dense_tflops", "int8_dense_tops", "int8_sparse_tops"}
    )
    assert all(sources.values())
    json.dumps(target.to_dict())


@pytest.mark.parametrize("name", sorted(ASKED_FOR - {"cpu"}))
def test_sparse_int8_is_twice_dense_and_never_taken_for_it(name: str) -> None:
    target = profile.read(name)
    if target.int8_sparse_tops is not None and target.int8_dense_tops is not None:
        assert target.int8_sparse_tops == pytest.approx(2 * target.int8_dense_tops, rel=0.03)


@pytest.mark.parametrize("name", sorted(ASKED_FOR - REFUSED))
def test_a_supported_device_loads(name: str) -> None:
    assert targets.load(name).refusal() is None


@pytest.mark.parametrize(
    ("name", "reason"), [("agx_xavier_32gb", "JetPack 5.1"), ("jetson_nano_4gb", "JetPack 4.6.1")]
)
def test_a_board_with_too_old_software_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(TargetError, match="is not supported") as caught:
        targets.load(name)
    message = str(caught.value)
    assert profile.read(name).name in message
    assert reason in message
    assert "needs JetPack 6.1 or newer" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["orin_nano_8gb", "Orin-Nano-8GB", "orin nano 8gb"])
def test_a_name_is_found_however_it_is_spelled(name: str) -> None:
    assert targets.load(name).id == "orin_nano_8gb"


@pytest.mark.parametrize("name", ["jetson", "jetson_nano", "xavier", "zzz"])
def test_no_refused_board_is_suggested(name: str) -> None:
    with pytest.raises(TargetError) as caught:
        profile.load(name)
    refused = [target.id for target in profile.all_targets() if target.refusal()]
    assert refused
    assert not [board for board in refused if board in str(caught.value)]
    assert "orin_nano_8gb" in str(caught.value) or "agx_orin_32gb" in str(caught.value)


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(TargetError, match=r"no target 'orin_nanoo_8gb': nearest are .*orin_nano_8gb"):
        targets.load("orin_nanoo_8gb")
    with pytest.raises(TargetError, match=r"known are agx_orin_32gb, .*thor_t5000"):
        targets.load("zzzz")


def test_the_default_budget_is_a_quarter_and_capped() -> None:
    assert profile.read("orin_nano_4gb").budget_bytes == GIB
    assert profile.read("agx_orin_64gb").budget_bytes == 2 * GIB
    assert "25%" in profile.read("orin_nano_4gb").budget_rule


def test_the_cpu_profile_has_its_own_budget_and_the_machines_memory() -> None:
    raw = toml.packaged("profiles/cpu.toml")
    target = profile.parse(raw, "cpu", Memory(4 * GIB, GIB))
    assert target.memory_bytes == 4 * GIB
    assert target.budget_bytes == 1024 * MIB
    assert target.budget_rule == "given by the profile"
    assert target.compute_capability is None


def test_a_cpu_without_a_budget_gets_a_share_of_what_is_free() -> None:
    raw = {**toml.packaged("profiles/cpu.toml")}
    del raw["budget_mib"]
    target = profile.parse(raw, "cpu", Memory(4 * GIB, GIB))
    assert target.budget_bytes == GIB // 4
    assert "free now" in target.budget_rule


def test_a_good_profile_keeps_what_it_says() -> None:
    target = profile.parse(good(), "mine")
    assert target.precisions == ("fp16", "int8")
    assert target.memory_bytes == 8 * GIB
    assert target.power_modes == ((0, "15W"), (1, "7W"))
    assert target.unconfirmed == ("last_jetpack",)
    assert target.aux_streams == 0
    assert target.workspace_bytes == target.budget_bytes // 4


FIGURE = {"value": 1.0, "confirmed": True, "source": "here"}
FAULTS = [
    ("colour", "red", "unknown key 'colour'; known are id, name"),
    ("id", None, "'id' is missing"),
    ("id", "A Board", "it may have a-z"),
    ("name", "  ", "'name' must be a text"),
    ("name", 3, "'name' must be a text, not 3"),
    ("kind", "toaster", "must be one of jetson, dgpu, cpu"),
    ("kind", "cpu", "'engine' is 'tensorrt'; it must be one of onnxruntime"),
    ("engine", "openvino", "must be one of tensorrt, onnxruntime"),
    ("precisions", [], "'precisions' must be a list of texts"),
    ("precisions", "fp16", "'precisions' must be a list of texts, not 'fp16'"),
    ("precisions", ["int4"], "a precision is 'int4'; it must be one of fp32, fp16, int8"),
    ("precisions", ["fp16", "fp16"], "names one twice"),
    ("shared_memory", "yes", "'shared_memory' must be true or false, not 'yes'"),
    ("family", None, "a jetson needs 'family'"),
    ("budget_mib", -5, "'budget_mib' must be a number of MiB above 0"),
    ("budget_mib", True, "'budget_mib' must be a number of MiB above 0, not True"),
    ("budget_mib", 9000, "'budget_mib' is more than the device's memory of 8 GiB"),
    ("aux_streams", 1.5, "'aux_streams' must be a whole number"),
    ("figures", ["a"], "'figures' must be a table"),
    ("figures.memory_gib", None, "a jetson needs the figure 'memory_gib'"),
    ("figures.last_jetpack", None, "a jetson needs the figure 'last_jetpack'"),
    ("figures.tops", FIGURE, "figures: unknown key 'tops'; known are"),
    ("figures.memory_gib", 8, "figure 'memory_gib' must be a table"),
    ("figures.memory_gib.unit", "GB", "figure 'memory_gib': unknown key 'unit'"),
    ("figures.memory_gib.source", None, "figure 'memory_gib' has no 'source'"),
    ("figures.memory_gib.source", "", "'source' must say where the figure is from"),
    ("figures.memory_gib.confirmed", "yes", "'confirmed' must be true or false, not 'yes'"),
    ("figures.memory_gib.value", "8", "'value' must be a number above 0"),
    ("figures.memory_gib.value", float("nan"), "'value' must be a number above 0"),
    ("figures.memory_gib.value", float("inf"), "'value' must be a number above 0"),
    ("figures.memory_gib.value", 0, "'value' must be a number above 0"),
    ("figures.memory_gib.value", 8 << 30, "at most 4096"),
    ("figures.memory_gib.value", 10**400, "at most 4096"),
    ("figures.memory_gib.value", True, "'value' must be a number above 0"),
    ("figures.compute_capability.value", 8.7, "'value' must be a version in quotes"),
    ("figures.compute_capability.value", "sm_87", "'sm_87' is no version number"),
    ("figures.last_jetpack.value", "99.0", "JetPack 99.0 is not known"),
    ("power_modes.MAXN", "60W", "power mode 'MAXN' must be a number and a name"),
    ("power_modes.0", 15, "power mode '0' must be a number and a name"),
]


@pytest.mark.parametrize(("path", "value", "message"), FAULTS)
def test_a_faulty_profile_is_refused_in_one_line_that_names_the_fault(
    path: str, value: Any, message: str
) -> None:
    with pytest.raises(TargetError) as caught:
        profile.parse(changed(path, value), "mine.toml").refusal()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


SHORT = """
id = "pi5"
name = "Raspberry Pi 5"
kind = "cpu"
engine = "onnxruntime"
precisions = ["int8", "fp32"]
shared_memory = true
figures.memory_gib = { value = 4, confirmed = true, source = "product name" }
"""


def test_a_path_to_a_profile_works_as_a_name(tmp_path: Path) -> None:
    path = tmp_path / "pi5.toml"
    path.write_text(SHORT)
    for name in (path, str(path)):
        target = targets.load(name)
        assert target.id == "pi5"
        assert target.budget_bytes == GIB


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id = ", "is no valid TOML"),
        (b"\xff\xfe\x00", "is no text file"),
        (b"", "'id' is missing"),
        (b"budget_mib = " + b"9" * 5000, "is no valid TOML|'id' is missing"),
        (b"#" * 300_000, "has more than 256 KiB"),
        (b"id = " + b"[" * 100_000 + b"]" * 100_000, "is nested too deeply"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(TargetError, match=message):
        targets.load(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not exist"):
        targets.load(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(TargetError, match="is a folder"):
        targets.load(tmp_path / "folder.toml")


def test_a_file_without_end_is_refused() -> None:
    """A device's size is 0, whatever it gives."""
    with pytest.raises(TargetError, match="a target profile has a few hundred"):
        targets.load(Path("/dev/zero"))


def test_a_jetson_takes_only_the_jetpacks_of_its_board() -> None:
    nano = targets.load("orin_nano_8gb")
    assert nano.check_jetpack("6.2.1").tensorrt == "10.3.0"
    with pytest.raises(TargetError, match=r"JetPack 6.0 \(TensorRT 8.6.2.*needs JetPack 6.1"):
        nano.check_jetpack("6.0")
    with pytest.raises(TargetError, match=r"7.1 does not run on orin boards: use JetPack 6.1, .*7.2"):
        nano.check_jetpack("7.1")
    with pytest.raises(TargetError, match=r"needs JetPack 6.2 or newer, not 6.1"):
        targets.load("orin_nano_8gb_super").check_jetpack("6.1")
    with pytest.raises(TargetError, match="is no Jetson"):
        targets.load("t4").check_jetpack("6.2")
