"""The rows of README.md that need a GPU: `python tests/gpu/table.py BUNDLE [--quick]` prints them."""

from __future__ import annotations

import sys
from pathlib import Path

from edgevoice import Voice, bench, bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.tensorrt import library, prepare, record
from edgevoice.runtime.engines.tensorrt.cache import Cache, machine
from edgevoice.runtime.engines.tensorrt.here import home

MEBI = 1 << 20


def main(folder: Path) -> None:
    """Raises `EdgevoiceError` where there is no GPU or the bundle cannot speak with it."""
    if reason := cuda.probe():
        raise EdgevoiceError(reason)
    Voice.load(folder, engine="tensorrt", note=lambda text: print(text, file=sys.stderr))
    here = machine(library.load(), cuda.load().device())
    found = prepare.recorded(Cache(home(folder)), bundle.read(folder, verify=False), here)
    if found is None:
        raise EdgevoiceError("the engines were made for another device: remove them and start again")
    runs = bench.QUICK_RUNS if "--quick" in sys.argv else bench.COLD_RUNS
    report = bench.run(folder, 1, runs, runs, engine="tensorrt")
    print(f"{here.gpu}, compute capability {here.capability}, {here.tensorrt}, CUDA {here.cuda}\n")
    print("| stage | runs | why |\n| --- | --- | --- |")
    for stage in STAGES:
        row = found.stages[stage]
        print(f"| {stage} | {row.precision.upper()} by {record.WORDS[row.engine]} | {row.reason} |")
    print("\n| figure | measured |\n| --- | --- |")
    for name, spread in report.cold.items():
        print(f"| cold start, {name.replace('_', ' ')} | {spread.median:.0f} ms |")
    for name, figures in report.warm.items():
        print(f"| {name} sentence, first sound | {figures['first_sound'].median:.1f} ms |")
        print(f"| {name} sentence, real-time factor | {figures['rtf'].median:.4f} |")
    if found.memory:
        print(f"| memory that the engines take on the GPU | {found.memory.taken / MEBI:.0f} MiB |")
        if found.memory.context is not None:
            print(f"| memory of context and libraries | {found.memory.context / MEBI:.0f} MiB |")
        print(f"| of it the shared arena | {found.memory.arena / MEBI:.1f} MiB |")
        print(f"| planned before (without the runtime) | {found.plan_bytes / MEBI:.0f} MiB |")
    print(f"| peak of the process | {report.peak_mib.median:.0f} MiB |")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except EdgevoiceError as error:
        sys.exit(f"error: {error}")
