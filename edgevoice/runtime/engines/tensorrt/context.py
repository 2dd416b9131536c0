"""What a bundle's engines take of the device, read in a process that has built none.

``python -m edgevoice.runtime.engines.tensorrt.context BUNDLE FOLDER FILES`` prints a `Reading`; ``FILES``:
the file that TensorRT runs of each stage, in JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgevoice import bundle
from edgevoice.bundle import Bundle
from edgevoice.manifest import StageName
from edgevoice.runtime.engines import cuda as cudas
from edgevoice.runtime.engines.cuda import Cuda
from edgevoice.runtime.engines.tensorrt import library, prepare
from edgevoice.runtime.engines.tensorrt.cache import Cache, machine
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.record import Memory, Reading
from targets import child


def read(made: Bundle, cache: Cache, trt: Module, cuda: Cuda, files: Mapping[StageName, str]) -> Reading:
    """Load the engines and run each once. Raises `EdgevoiceError`."""
    before = cuda.memory()[0]
    loaded = prepare.load_chosen(made, files, trt, cuda, cache, machine(trt, cuda.device()))
    for engine in loaded.values():
        engine.try_out()
    shared = next(iter(loaded.values())).shared
    return Reading(before, Memory(max(0, before - cuda.memory()[0]), shared.arena_bytes, shared.block_bytes))


if __name__ == "__main__":
    child.end_with_parent()
    trt, cuda = library.load(), cudas.load()
    made = bundle.read(sys.argv[1], verify=False)
    found = read(made, Cache(Path(sys.argv[2])), trt, cuda, json.loads(sys.argv[3]))
    print(f"\n{json.dumps(msgspec.to_builtins(found))}", flush=True)
