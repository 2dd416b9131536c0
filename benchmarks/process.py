"""A measured process seen from the parent."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.engines import Contestant
from edgevoice.errors import EdgevoiceError

ROOT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 1800.0

# Libraries beside ONNX Runtime (OpenBLAS in numpy, OpenMP) take their thread count from here.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Process:
    """One engine in a process of its own; ``ready`` holds what it said when it was loaded."""

    def __init__(self, contestant: Contestant, threads: int) -> None:
        self.name = contestant.name
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", *_arguments(contestant, threads)],
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.ready = self._answer()

    def say(self, text: str, seed: int) -> dict[str, float]:
        """Seconds: first_sound, first_sound_cpu, wall, cpu, audio."""
        return self._ask({"say": text, "seed": seed})

    def usage(self) -> dict[str, Any]:
        """peak_mib, and threads: the CPU seconds of each."""
        return self._ask({})

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()
        self._log.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says why
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        stdout = self._child.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], LIMIT_SECONDS)
        line = stdout.readline() if ready else ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._silence(bool(ready))}
        if "error" in answer:
            self.close()
            raise EdgevoiceError(f"{self.name} cannot run: {answer['error']}")
        return answer

    def _silence(self, ended: bool) -> str:
        if not ended:
            return f"no answer for {LIMIT_SECONDS:.0f} s"
        code = self._child.wait()
        self._log.seek(0)
        said = self._log.read().strip().splitlines()
        return f"its process ended ({code})" + (f": {said[-1]}" if said else "")


def _arguments(contestant: Contestant, threads: int) -> list[str]:
    options = json.dumps(dict(contestant.options))
    return [contestant.module, str(contestant.path.absolute()), str(threads), options]
