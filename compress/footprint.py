"""What a stage's working memory is, read in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from compress.draft import Feeds
from edgevoice.errors import EdgevoiceError
from targets import child

LIMIT_SECONDS = 1800


def arena_bytes(model: Path, feeds: Feeds) -> int:
    """How much resident memory grew when ``model`` ran once on ``feeds`` after loading, in a new process."""
    shapes = {name: [str(values.dtype), list(values.shape)] for name, values in feeds.items()}
    try:
        return child.number("-m", "compress.footprint", str(model), json.dumps(shapes), seconds=LIMIT_SECONDS)
    except child.Failed as error:
        raise EdgevoiceError(f"cannot measure the memory of {model}: {error}") from None


def _status(key: str) -> int:
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith(key))
    return 1024 * int(line.split()[1])


def _main(model: str, shapes: str) -> int:
    from edgevoice.runtime.engines.onnx import OnnxEngine

    feeds = {name: np.ones(shape, kind) for name, (kind, shape) in json.loads(shapes).items()}
    engine = OnnxEngine(Path(model), 1)
    before = _status("VmRSS")
    engine.run(feeds)
    return max(0, _status("VmHWM") - before)


if __name__ == "__main__":
    print(_main(sys.argv[1], sys.argv[2]))
