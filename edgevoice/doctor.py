"""What this machine is, which engines it can run, and what is missing with the command that mends it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from dataclasses import asdict, dataclass
from typing import Any

from edgevoice import install, text
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.tensorrt import library
from targets import board, host
from targets.board import cards


@dataclass(frozen=True)
class Check:
    """``state``: "ok", "missing" (something needs it) or "absent" (all else works without it)."""

    name: str
    state: str
    detail: str
    mend: str = ""


def examine() -> list[Check]:
    """Every check, in the order of the report."""
    machine = host.read()
    checks = [
        Check("machine", "ok", f"{machine.board or machine.machine}, {machine.cpu.model}"),
        Check("CPUs for this process", "ok", str(machine.cpus)),
        Check("memory", "ok", f"{_gib(machine.memory.available)} free of {_gib(machine.memory.total)}"),
        Check("target profiles", "ok", ", ".join(machine.targets)),
        Check("Python", "ok", platform.python_version()),
        _int8(machine),
        _onnxruntime(),
        _tensorrt(machine),
        _phonemizers(),
        _loudspeaker(),
        *_board(machine),
    ]
    return checks


def to_dict(checks: list[Check]) -> dict[str, Any]:
    return {"host": host.read().to_dict(), "checks": [asdict(check) for check in checks]}


def report(checks: list[Check]) -> str:
    lines = []
    for check in checks:
        lines.append(f"{check.state:8}{check.name:24}{check.detail}")
        if check.mend:
            lines.append(f"{'':8}{'':24}-> {check.mend}")
    return "\n".join(lines)


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


def _int8(machine: host.Host) -> Check:
    fast = machine.cpu.fast_int8
    named = ", ".join(feature for feature in machine.cpu.features if feature in host.INT8_FEATURES)
    detail = (
        f"the CPU multiplies INT8 fast ({named})"
        if fast
        else "no INT8 dot product (VNNI): INT8 voices work and are small, but gain less speed than elsewhere"
    )
    return Check("INT8", "ok" if fast else "absent", detail)


def _onnxruntime() -> Check:
    try:
        import onnxruntime
    except ImportError:
        return Check("ONNX Runtime", "missing", "no engine runs without it", "pip install onnxruntime")
    return Check("ONNX Runtime", "ok", f"{onnxruntime.__version__}; it runs every voice on the CPU")


def _tensorrt(machine: host.Host) -> Check:
    if not (machine.is_jetson or machine.cards):
        return Check("TensorRT", "absent", "no NVIDIA GPU here, and voices run on the CPU: nothing to do")
    if importlib.util.find_spec("tensorrt") is None:
        mend = "sudo apt install python3-libnvinfer" if machine.is_jetson else install.command("tensorrt")
        return Check(
            "TensorRT", "absent", "a GPU but no TensorRT for this Python: voices run on the CPU", mend
        )
    try:
        return Check("TensorRT", "ok", _usable_tensorrt())
    except EdgevoiceError as error:
        return Check("TensorRT", "absent", f"voices run on the CPU: {error}")


def _usable_tensorrt() -> str:
    """What voices for a GPU run with; raises `EdgevoiceError` with what stands against it."""
    reason = cuda.probe()
    if reason:
        raise EdgevoiceError(reason)
    module, device = library.load(), cuda.load().device()
    return (
        f"{module.__version__} on {device.name} (compute capability {device.capability}, CUDA {device.cuda})"
    )


def _board(machine: host.Host) -> list[Check]:
    """What decides how fast it speaks today, and changes while it runs. A plain PC has no board to tell of
    what its system does not: only what is known of it is said."""
    state = board.read(jetson=machine.is_jetson, card=bool(machine.cards))
    checks = []
    if machine.is_jetson:
        power = state.power.text if state.power else "unknown: /etc/nvpmodel.conf or its status does not say"
        checks.append(Check("power mode", "ok" if state.power else "absent", power))
    clocks, heat = state.clocks_text(), state.temperature_text()
    checks.append(Check("clocks", _known(clocks), clocks))
    checks.append(Check("temperature", _known(heat), heat))
    mend = "more cooling, or a smaller power mode" if state.limits else ""
    checks.append(Check("throttling", "absent" if state.limits else _known(state.limits_text()),
                        state.limits_text(), mend))  # fmt: skip
    if not (machine.is_jetson or machine.cards):
        checks = [check for check in checks if not check.detail.endswith(board.UNKNOWN)]
    return [*checks, *(Check("card", "ok", _card(card)) for card in state.cards)]


def _known(text: str) -> str:
    return "absent" if text.endswith(board.UNKNOWN) else "ok"


def _card(card: cards.Card) -> str:
    if card.memory_free is None or card.memory_total is None:
        return f"{card.name}, free memory unknown"
    return f"{card.name}, {_gib(card.memory_free)} free of {_gib(card.memory_total)}"


def _phonemizers() -> Check:
    found = text.available()
    detail = "; ".join(f"{name}: {'ok' if ok else reason}" for name, ok, reason in found)
    if all(ok for _, ok, _ in found):
        return Check("phonemizers", "ok", detail)
    some = any(ok for _, ok, _ in found)
    return Check("phonemizers", "absent" if some else "missing", detail, install.command("espeak"))


def _loudspeaker() -> Check:
    if shutil.which("aplay"):
        return Check("loudspeaker", "ok", "aplay")
    return Check(
        "loudspeaker", "absent", "no aplay: `edgevoice say` writes files only", "apt install alsa-utils"
    )
