"""The board's state, read from samples. All of them were written by us after the documented formats; none was
recorded on a board."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets import board
from targets.board import cards, nvpmodel, sensors, tegrastats, text

# After "Power and performance" of NVIDIA's Jetson Linux developer guide, chapter nvpmodel: numbers and names
# differ by board and JetPack, which is why two are here.
NVPMODEL = """###########################
# POWER_MODEL DEFINITIONS #
# < POWER_MODEL ID=9 NAME=COMMENTED_OUT >
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
<POWER_MODEL ID=2 NAME=MAXN_SUPER>
< PM_CONFIG DEFAULT=1 >
"""
OTHER_BOARD = "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=120W >\n< PM_CONFIG DEFAULT=0 >\n"

# After the chapter tegrastats of the same guide, in the form of JetPack 6 and in that of JetPack 4.
TEGRASTATS = (
    "01-02-2026 03:04:05 RAM 2448/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [0%@1510,off,3%@1510] EMC_FREQ 0%@2133 GR3D_FREQ 12%@[611] cpu@47.5C soc2@46.8C gpu@-256C "
    "tj@48.031C VDD_IN 4400mW/4390mW VDD_CPU_GPU_CV 480mW/480mW"
)
TEGRASTATS_OLD = (
    "RAM 1216/3964MB (lfb 330x4MB) IRAM 0/252kB(lfb 252kB) CPU [2%@102,1%@102] EMC_FREQ 0% GR3D_FREQ 0% "
    "PLL@25.5C CPU@28C PMIC@100C POM_5V_IN 1650/1650"
)

# After `nvidia-smi --help-query-gpu`, with --format=csv,noheader,nounits.
SMI = "NVIDIA GeForce RTX 4060 Laptop GPU, 7000, 8188, 1830, 3105, 61, 0x0000000000000024\n"
SMI_LITTLE = "NVIDIA L4, [N/A], 23034, [N/A], [N/A], [Not Supported], [N/A]\n"

# After the kernel's Documentation/ABI/testing/sysfs-class-thermal and sysfs-class-devfreq, and its
# admin-guide/pm/cpufreq.rst.
SYSFS = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1510400\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1510400\n",
    "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq": "1510400\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
    "sys/class/devfreq/15380000.nvjpg/cur_freq": "115200000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "47531\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "51000\n",
    "sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone2/temp": "-256000\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device1/cur_state": "0\n",
}
MEMINFO = f"MemTotal: {8000 << 10} kB\nMemAvailable: {3000 << 10} kB\n"
JETSON = {
    "proc/meminfo": MEMINFO,
    "etc/nvpmodel.conf": NVPMODEL,
    "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet\n",
    **SYSFS,
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_jetson_s_state_in_one_line(tmp_path: Path) -> None:
    found = board.read(write(tmp_path, JETSON), jetson=True)
    assert found.line() == (
        "power mode MAXN_SUPER (2; others: 15W, 25W), CPU 1510 of 1510 MHz, GPU 306 of 1020 MHz, "
        "51 °C (gpu), not throttled, 3000 MiB of memory free"
    )
    assert json.loads(json.dumps(found.to_dict()))["power"]["number"] == 2
    assert [entry.name for entry in found.temperatures] == ["cpu", "gpu"]


def test_heat_that_holds_the_clocks_back_is_said(tmp_path: Path) -> None:
    write(tmp_path, {**JETSON, "sys/class/thermal/cooling_device1/cur_state": "3\n"})
    found = board.read(tmp_path, jetson=True)
    assert found.limits == ("cpufreq-cpu0 is held back by heat",)
    assert "THROTTLED: cpufreq-cpu0" in found.line()


@pytest.mark.parametrize(
    ("kind", "state", "limits"),
    [
        ("Processor", 3, ("Processor is held back by heat",)),
        ("cpufreq-cpu4", 1, ("cpufreq-cpu4 is held back by heat",)),
        ("thermal-cpufreq-0", 2, ("thermal-cpufreq-0 is held back by heat",)),
        ("thermal-devfreq-0", 1, ("thermal-devfreq-0 is held back by heat",)),
        ("devfreq-17000000.gpu", 0, ()),
        ("Processor", -1, ()),
        ("LCD", 3, None),
        ("iwlwifi_1", 1, None),
        ("intel_powerclamp", -1, None),
        ("pwm-fan", 2, None),
    ],
)
def test_only_what_slows_the_chips_is_throttling(
    kind: str, state: int, limits: tuple[str, ...] | None, tmp_path: Path
) -> None:
    folder = "sys/class/thermal/cooling_device0"
    write(tmp_path, {f"{folder}/type": f"{kind}\n", f"{folder}/cur_state": f"{state}\n"})
    assert sensors.limits(tmp_path) == limits


@pytest.mark.parametrize(
    ("conf", "status", "name"),
    [
        (NVPMODEL, "pmode:0000", "15W"),
        (OTHER_BOARD, "pmode:0000", "MAXN"),
        (NVPMODEL, "", "25W"),  # the default, where no mode was set
        (NVPMODEL, "pmode:0009", None),  # commented out
        (NVPMODEL, "pmode:0077", None),
        ("", "pmode:0000", None),
        ("< POWER_MODEL ID=x NAME=y >", "pmode:", None),
        ("\xff\0", "pmode:99999999999999999999", None),
    ],
)
def test_the_power_mode_is_what_the_board_s_own_file_calls_it(
    conf: str, status: str, name: str | None, tmp_path: Path
) -> None:
    write(tmp_path, {"etc/nvpmodel.conf": conf, "var/lib/nvpmodel/status": status})
    found = nvpmodel.read(tmp_path)
    assert (found.name if found else None) == name


def test_a_machine_that_tells_nothing_is_unknown_in_all(tmp_path: Path) -> None:
    found = board.read(tmp_path, jetson=True, card=True)
    assert not found.tells
    assert found.line().startswith("clocks unknown, temperature unknown, throttling unknown, ")
    assert found.power is None


BROKEN = ["", "\n", "none", "-", "12.5", "9" * 5000, "\0\xff", "-1", "0x10"]


@pytest.mark.parametrize("content", BROKEN)
def test_files_of_another_form_are_unknown(content: str, tmp_path: Path) -> None:
    found = board.read(write(tmp_path, dict.fromkeys(JETSON, content)), jetson=True)
    assert found.power is None
    assert found.clocks == ()
    assert "MHz" not in found.line()
    assert found.to_dict()["cards"] == ()


def test_folders_where_files_should_be_are_unknown(tmp_path: Path) -> None:
    for name in JETSON:
        (tmp_path / name).mkdir(parents=True)
    line = board.read(tmp_path, jetson=True).line()
    assert line.startswith("clocks unknown, temperature unknown, throttling unknown, ")


def test_tegrastats_of_two_generations() -> None:
    new, old = tegrastats.parse(TEGRASTATS), tegrastats.parse(TEGRASTATS_OLD)
    assert new is not None
    assert old is not None
    assert [(t.name, t.celsius) for t in new.temperatures] == [("cpu", 47.5), ("soc2", 46.8), ("tj", 48.031)]
    assert (new.power_watts, old.power_watts) == (4.4, 1.65)
    assert old.temperatures[0] == sensors.Temperature("PLL", 25.5)


@given(st.text(max_size=300))
def test_any_line_is_stats_or_none(line: str) -> None:
    tegrastats.parse(line)
    nvpmodel.parse(line)
    cards.parse(line)


def test_a_tool_that_never_ends_is_read_and_stopped(tmp_path: Path) -> None:
    tool = tmp_path / "tegrastats"
    tool.write_text(f"#!/bin/sh\necho 'Starting'\necho '{TEGRASTATS}'\nexec sleep 600\n")
    tool.chmod(0o755)
    found = tegrastats.read((str(tool),), seconds=120)
    assert found is not None
    assert found.power_watts == 4.4


def test_a_tool_that_says_nothing_is_stopped() -> None:
    assert tegrastats.read(("sleep", "600"), seconds=0.2) is None
    assert tegrastats.read(("true",), seconds=120) is None
    assert tegrastats.read(("/no/such/tool",), seconds=120) is None


@pytest.mark.parametrize("command", [["false"], ["/no/such/tool"], [os.devnull]])
def test_a_tool_that_fails_says_nothing(command: list[str]) -> None:
    assert text.of_command(command, 20) == ""


def test_a_card_by_nvidia_smi() -> None:
    (card,) = cards.parse(SMI)
    assert card.name == "NVIDIA GeForce RTX 4060 Laptop GPU"
    assert (card.memory_free, card.memory_total) == (7000 << 20, 8188 << 20)
    assert card.clocks == (sensors.Clock("GPU", 1830, 3105),)
    assert card.limits == ("its power limit", "heat")
    (little,) = cards.parse(SMI_LITTLE)
    assert little == cards.Card("NVIDIA L4", None, 23034 << 20)
    assert cards.parse("No devices were found\n") == ()


def test_an_older_nvidia_smi_has_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncase \"$1\" in *clocks_event_reasons*) exit 2;; esac\nprintf '%s' '{SMI}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert cards.read() == cards.parse(SMI)


class Nvml(types.ModuleType):
    """A card that tells some things, by the names of NVIDIA's library."""

    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    def nvmlInit(self) -> None: ...

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetName(self, _: Any) -> bytes:
        return b"NVIDIA L4"

    def nvmlDeviceGetMemoryInfo(self, _: Any) -> Any:
        return types.SimpleNamespace(free=5 << 30, total=24 << 30)

    def nvmlDeviceGetClockInfo(self, _: Any, kind: int) -> int:
        return 2040

    def nvmlDeviceGetMaxClockInfo(self, _: Any, kind: int) -> int:
        raise RuntimeError("Not Supported")

    def nvmlDeviceGetTemperature(self, _: Any, kind: int) -> int:
        return 44

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _: Any) -> int:
        return 0x1


def test_a_card_by_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml("pynvml"))
    (card,) = cards.read()
    assert (card.name, card.memory_free, card.limits) == ("NVIDIA L4", 5 << 30, ())
    assert card.clocks == (sensors.Clock("GPU", 2040, None),)
    assert card.temperature == sensors.Temperature("NVIDIA L4", 44.0)
