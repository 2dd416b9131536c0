"""The runs: engines take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack

from benchmarks.engines import Contestant
from benchmarks.process import Process
from benchmarks.sentences import Groups
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

WARM_UPS = 2
SLACK = 0.1
"""CPUs that a process may use beyond its threads, for what the kernel does on its behalf."""

BUSY = 0.05
"""A thread with less than this share of its process's CPU time is not counted as working."""

GAPLESS = "slack"
"""Row for engines that send chunks: how many times slower the machine might be with no gap between them."""

Samples = dict[str, dict[str, list[float]]]
"""Row of the table -> engine -> one figure a round; the n-th figures of all engines belong together."""


def run(
    contestants: Sequence[Contestant], texts: Groups, threads: int, runs: int
) -> tuple[Samples, dict[str, str], dict[str, int]]:
    """All samples, what each engine says of itself, and how many of its threads worked.

    Raises `EdgevoiceError` at the first engine that cannot run, and for one that uses more CPUs than
    ``threads``: a table without it, or with it unequal, would mislead.
    """
    samples: Samples = {}
    about = cold(contestants, texts, threads, runs, samples)
    working = warm(contestants, texts, threads, runs, samples)
    return samples, about, working


def cold(
    contestants: Sequence[Contestant], texts: Groups, threads: int, runs: int, samples: Samples
) -> dict[str, str]:
    """New processes: loading, the first utterance, and the memory after a sentence of each length."""
    about: dict[str, str] = {}
    first = list(texts)[min(1, len(texts) - 1)]
    for round_, contestant in _turns(contestants, runs, "cold starts"):
        with Process(contestant, threads) as process:
            about[contestant.name] = process.ready["about"]
            said = process.say(_pick(texts[first], round_), round_)
            for name in texts:
                process.say(_pick(texts[name], round_), round_)
            loaded = process.ready["load"]
            row = {
                "load time, ms": 1000 * loaded,
                "load time, CPU ms": 1000 * process.ready["load_cpu"],
                f"cold first sound, {first}, ms": 1000 * (loaded + said["first_sound"]),
                "peak memory, MiB": process.usage()["peak_mib"],
            }
        _keep(samples, contestant.name, row)
    return about


def warm(
    contestants: Sequence[Contestant], texts: Groups, threads: int, runs: int, samples: Samples
) -> dict[str, int]:
    """Processes that stay alive, all loaded, one speaking at a time."""
    with ExitStack() as stack:
        living = {one.name: stack.enter_context(Process(one, threads)) for one in contestants}
        for round_, contestant in _turns(contestants, WARM_UPS, "warm-up"):
            _round(living[contestant.name], texts, round_)
        before = {name: process.usage() for name, process in living.items()}
        cpu, wall = dict.fromkeys(living, 0.0), dict.fromkeys(living, 0.0)
        for round_, contestant in _turns(contestants, runs, "warm runs"):
            said = _round(living[contestant.name], texts, round_)
            _keep(samples, contestant.name, _figures(said))
            cpu[contestant.name] += sum(row["cpu"] for row in said.values())
            wall[contestant.name] += sum(row["wall"] for row in said.values())
        after = {name: process.usage() for name, process in living.items()}
    for name, usage in after.items():
        _keep(samples, name, {"peak memory after all runs, MiB": usage["peak_mib"]})
    return {
        name: verify(name, threads, cpu[name] / wall[name], before[name]["threads"], after[name]["threads"])
        for name in living
    }


def _turns(contestants: Sequence[Contestant], runs: int, label: str) -> Iterable[tuple[int, Contestant]]:
    """A B C, A B C, ...; the one that begins changes, so that none always follows the same other."""
    turns = [
        (round_, contestants[(place + round_) % len(contestants)])
        for round_ in range(runs)
        for place in range(len(contestants))
    ]
    return track(turns, label, len(turns))


def _pick(texts: Sequence[str], round_: int) -> str:
    return texts[round_ % len(texts)]


def _round(process: Process, texts: Groups, round_: int) -> dict[str, dict[str, float]]:
    return {name: process.say(_pick(lines, round_), round_) for name, lines in texts.items()}


def _figures(said: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    rows: dict[str, float] = {}
    for name, one in said.items():
        rows[f"first sound, {name}, ms"] = 1000 * one["first_sound"]
    for name, one in said.items():
        rows[f"first sound, {name}, CPU ms"] = 1000 * one["first_sound_cpu"]
    for name, one in said.items():
        rows[f"real-time factor, {name}"] = one["wall"] / one["audio"]
    total = {key: sum(one[key] for one in said.values()) for key in ("wall", "cpu", "audio")}
    rows["real-time factor, all"] = total["wall"] / total["audio"]
    for name, one in said.items():
        rows[f"CPU real-time factor, {name}"] = one["cpu"] / one["audio"]
    rows["CPU real-time factor, all"] = total["cpu"] / total["audio"]
    for name, one in said.items():
        rows[f"audio, {name}, s"] = one["audio"]
    rows[GAPLESS] = min(filter(None, (one["slack"] for one in said.values())), default=0.0)
    return rows


def _keep(samples: Samples, name: str, rows: Mapping[str, float]) -> None:
    for row, value in rows.items():
        samples.setdefault(row, {}).setdefault(name, []).append(value)


def verify(
    name: str, threads: int, cpus: float, before: Mapping[str, float], after: Mapping[str, float]
) -> int:
    """How many threads worked between the two readings; raises `EdgevoiceError` where more than ``threads``.

    Two signs, as either alone can be fooled: on a busy machine a process gets less CPU than it asks for, and
    threads that share the work unevenly are few with much work.
    """
    if cpus > threads + SLACK:
        raise EdgevoiceError(
            f"{name} used {cpus:.2f} CPUs with {threads} thread(s): its thread count does not hold"
        )
    spent = {thread: seconds - before.get(thread, 0.0) for thread, seconds in after.items()}
    working = sum(seconds > BUSY * sum(spent.values()) for seconds in spent.values())
    if working > threads:
        raise EdgevoiceError(
            f"{name} worked in {working} threads, {threads} were asked for: its thread count does not hold"
        )
    return max(1, working)
