"""The host: parsed from samples. All samples were written by us after the kernel's and NVIDIA's documented
formats; none was recorded on a board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from targets import cgroup, host, memory

X86 = """processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R) Example
flags		: fpu sse avx2 avx512f avx512_vnni amx_int8

processor	: 1
model name	: Intel(R) Xeon(R) Example
flags		: fpu sse avx2
"""
ARM = """processor	: 0
BogoMIPS	: 62.50
Features	: fp asimd evtstrm aes crc32 atomics fphp asimdhp asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU part	: 0xd42
"""
MEMINFO = "MemTotal:        7802024 kB\nMemFree:          200000 kB\nMemAvailable:    5000000 kB\n"
RELEASE = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n"
CARD = "Model: 		 NVIDIA GeForce RTX 4060 Laptop GPU\nIRQ:   		 187\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_cpuinfo_of_x86_gives_the_first_cores_features() -> None:
    cpu = host.parse_cpuinfo(X86)
    assert cpu.model == "Intel(R) Xeon(R) Example"
    assert cpu.features == ("avx2", "avx512f", "avx512_vnni", "amx_int8")
    assert cpu.fast_int8


def test_cpuinfo_of_arm_gives_the_core_by_its_part_number() -> None:
    cpu = host.parse_cpuinfo(ARM)
    assert cpu.model == "Cortex-A78AE"
    assert cpu.features == ("asimddp", "asimd", "asimdhp")
    assert cpu.fast_int8
    assert host.parse_cpuinfo(ARM.replace("0xd42", "0xfff")).model == "CPU part 0xfff"
    assert not host.parse_cpuinfo(ARM.replace("asimddp", "")).fast_int8


def test_cpuinfo_without_anything_is_an_unknown_cpu() -> None:
    assert host.parse_cpuinfo("") == host.Cpu("unknown CPU", ())


@pytest.mark.parametrize(
    ("text", "l4t"),
    [
        (RELEASE, "36.4.3"),
        ("# R32 (release), REVISION: 7.1, GCID: 29818004", "32.7.1"),
        ("# R39 (release), REVISION: 2, GCID: 1", "39.2"),
        ("Ubuntu 22.04", None),
        ("", None),
    ],
)
def test_the_tegra_release_file(text: str, l4t: str | None) -> None:
    assert host.parse_tegra_release(text) == l4t


def test_meminfo() -> None:
    assert memory.parse_meminfo(MEMINFO) == memory.Memory(7802024 * 1024, 5000000 * 1024)
    old_kernel = MEMINFO.replace("MemAvailable", "MemOther")
    assert memory.parse_meminfo(old_kernel) == memory.Memory(7802024 * 1024, 200000 * 1024)
    assert memory.parse_meminfo("nothing") is None


def jetson(root: Path, model: str, meminfo: str = MEMINFO, release: str = RELEASE) -> host.Host:
    files = {
        "proc/cpuinfo": ARM,
        "proc/meminfo": meminfo,
        "proc/device-tree/model": model + "\0",
        "etc/nv_tegra_release": release,
    }
    return host.read(write(root, files))


def test_a_jetson_is_known_by_its_device_tree_and_release(tmp_path: Path) -> None:
    found = jetson(tmp_path, "NVIDIA Jetson Orin Nano Developer Kit")
    assert found.is_jetson
    assert found.jetpack is not None
    assert (found.l4t, found.jetpack.version, found.jetpack_exact) == ("36.4.3", "6.2", True)
    assert found.targets == ("orin_nano_8gb", "cpu")
    assert found.compute_capability == "8.7"
    assert found.memory.available == 5000000 * 1024


@pytest.mark.parametrize(
    ("model", "gib", "first"),
    [
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", 7.4, "orin_nano_8gb_super"),
        ("NVIDIA Orin Nano Developer Kit", 3.4, "orin_nano_4gb"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", 15.3, "orin_nx_16gb"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 61.4, "agx_orin_64gb"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 29.9, "agx_orin_32gb"),
        ("NVIDIA Jetson AGX Thor Developer Kit", 122.8, "thor_t5000"),
        ("NVIDIA Jetson Nano Developer Kit", 3.9, "jetson_nano_4gb"),
        ("Jetson-AGX", 31.2, "agx_xavier_32gb"),
        ("Raspberry Pi 5 Model B Rev 1.0", 7.9, "cpu"),
    ],
)
def test_a_board_is_matched_by_model_and_memory(tmp_path: Path, model: str, gib: float, first: str) -> None:
    found = jetson(tmp_path, model, meminfo=f"MemTotal: {int(gib * (1 << 20))} kB\n")
    assert found.targets[0] == first
    assert found.targets[-1] == "cpu"


def test_a_card_is_found_without_touching_the_driver(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": X86,
        "proc/meminfo": MEMINFO,
        "proc/driver/nvidia/gpus/0000:01:00.0/information": CARD,
    }
    found = host.read(write(tmp_path, files))
    assert not found.is_jetson
    assert found.cards == ("NVIDIA GeForce RTX 4060 Laptop GPU",)
    assert found.targets == ("rtx_4060_laptop", "cpu")
    assert found.compute_capability == "8.9"


def test_an_empty_machine_is_still_a_cpu(tmp_path: Path) -> None:
    found = host.read(tmp_path)
    assert found.targets == ("cpu",)
    assert found.board is None
    assert found.memory.total > 0
    assert found.cpus >= 1


def test_this_machine_reads_and_goes_to_json() -> None:
    found = host.read()
    back = json.loads(json.dumps(found.to_dict()))
    assert back["cpus"] == found.cpus >= 1
    assert 0 < back["memory"]["available_bytes"] <= back["memory"]["total_bytes"]


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 0.5),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/../../up\n", "sys/fs/cgroup/cpu.max": "garbage\n"}, None),
        ({}, None),
    ],
)
def test_the_cpu_quota_of_either_cgroup_version(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert cgroup.cpu_quota(write(tmp_path, files)) == quota


def test_usable_cpus_are_whole_and_at_least_one(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"})
    assert host.usable_cpus(tmp_path) == 1
    write(tmp_path, {"sys/fs/cgroup/cpu.max": "190000 100000\n"})
    assert host.usable_cpus(tmp_path) == 1


def test_affinity_bounds_the_usable_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 4, 5}, raising=False)
    assert host.usable_cpus(tmp_path) == 6
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"})
    assert host.usable_cpus(tmp_path) == 2


@pytest.mark.parametrize("version", [1, 2])
def test_the_memory_limit_of_either_cgroup_version(tmp_path: Path, version: int) -> None:
    one = {
        "proc/self/cgroup": "4:memory:/app\n",
        "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "1000000\n",
        "sys/fs/cgroup/memory/app/memory.usage_in_bytes": "700000\n",
        "sys/fs/cgroup/memory/app/memory.stat": "cache 1\ntotal_inactive_file 200000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    two = {
        "proc/self/cgroup": "0::/app\n",
        "sys/fs/cgroup/app/memory.max": "1000000\n",
        "sys/fs/cgroup/app/memory.current": "700000\n",
        "sys/fs/cgroup/app/memory.stat": "anon 1\ninactive_file 200000\n",
        "sys/fs/cgroup/memory.max": "max\n",
    }
    root = write(tmp_path, {**(one if version == 1 else two), "proc/meminfo": MEMINFO})
    assert cgroup.memory_left(root) == (1000000, 500000)
    assert memory.read(root) == memory.Memory(1000000, 500000)


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "proc/meminfo": MEMINFO})
    assert cgroup.memory_left(root) is None
    assert memory.read(root).total == 7802024 * 1024
