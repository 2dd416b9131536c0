"""python benchmarks/rtx.py BUNDLE: do its files for TensorRT build, in INT8 where asked, as large as planned?

With TensorRT for RTX, on a machine without a GPU: "builds under TensorRT for RTX", not "works on a Jetson".
Make the bundle with `edgevoice compress VOICE --target rtx_3060_12gb --recipe quantize --allow-worse`: files
that fail the gate are in it too.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx

from benchmarks import report
from calibration.activations import activation_bytes
from calibration.census import explicit_int8
from compress.rtx.build import build
from edgevoice import budget, bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, StageName, Variant
from edgevoice.progress import track
from edgevoice.runtime import choice
from edgevoice.runtime.engines.tensorrt import shapes
from edgevoice.runtime.engines.tensorrt.build import Order
from edgevoice.runtime.find import find
from targets.profile import all_targets

CAPABILITIES = ("8.6", "8.9", "12.0")
WORKSPACE_BYTES = 512 << 20
HEAD = ["stage", "precision", "for", "layers in INT8 / asked", "working memory, MiB", "plan / it"]
HEAD += ["weights, MiB", "file / it", "engine, MiB"]
REFUSED, UNREAD = "REFUSED: ", "not in the log"


def row(path: Path, stage: StageName, variant: Variant, most: int, order: Order) -> list[str]:
    asked = explicit_int8(onnx.load(str(path)))
    head = [stage, variant.precision, order.capabilities[0]]
    try:
        found = build(order)
    except EdgevoiceError as error:
        return [*head, f"{REFUSED}{error}", *[""] * 5]
    ran = f"{len(asked) - len(found.missing(asked))} / {len(asked)}" if asked else ""
    planned = activation_bytes(onnx.load(str(path)), most)
    return [
        *head,
        ran,
        *_against(planned, found.activation_bytes),
        *_against(path.stat().st_size, found.weights_bytes),
        _mib(found.plan_bytes),
    ]


def _against(planned: int, read: int) -> tuple[str, str]:
    """What the build's log says, and the plan's share of it."""
    return (_mib(read), f"{planned / read:.2f}") if read else (UNREAD, "")


def faults(made: Sequence[Sequence[str]]) -> list[str]:
    """The builds that failed or did not say what they take, each in one line."""
    bad = ((row, cell) for row in made for cell in row if cell.startswith((REFUSED, UNREAD)))
    return [f"{' '.join(row[:2])} for {row[2]}: {cell}" for row, cell in bad]


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}"


def rows(
    found: bundle.Bundle, capabilities: Sequence[str], stages: Sequence[StageName]
) -> Iterator[list[str]]:
    lengths = shapes.of(found.manifest)
    todo = [
        (stage, variant, capability)
        for stage in stages
        for variant in choice.for_tensorrt(found.manifest, stage)
        for capability in capabilities
    ]
    for stage, variant, capability in track(todo, "builds", len(todo)):
        path = found.file(variant.file)
        int8 = variant.precision == "int8"
        order = Order(path, lengths[stage].profiles, WORKSPACE_BYTES, 0, (capability,), int8)
        yield row(path, stage, variant, lengths[stage].most, order)


def budgets(found: bundle.Bundle) -> Iterator[list[str]]:
    """The plan on every device that could run it."""
    yield ["target", "plan, MiB", "budget, MiB", ""]
    for target in all_targets():
        if target.engine == "tensorrt" and target.refusal() is None:
            plan = budget.of(found.manifest, target)
            verdict = "fits" if plan.fits else "does not fit"
            yield [target.id, _mib(plan.total_bytes), _mib(plan.budget_bytes), verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="rtx.py", description="Builds under TensorRT for RTX.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--capabilities", nargs="+", default=CAPABILITIES)
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    show = report.markdown if options.markdown else report.text
    try:
        found = bundle.read(find(options.bundle))
        if missing := [stage for stage in options.stages if not choice.for_tensorrt(found.manifest, stage)]:
            raise EdgevoiceError(
                f"{options.bundle} has no file of the stage {missing[0]} for TensorRT: make the bundle with "
                "--target for a GPU, or leave the stage out with --stages"
            )
        made = list(rows(found, options.capabilities, options.stages))
        print(show([HEAD, *made]))
        print("\n" + show(list(budgets(found))))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    wrong = faults(made)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
