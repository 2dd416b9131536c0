"""Run a teacher over text into label shards, on several processes, going on where an earlier run stopped."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

from compress.labels.store import LabelInfo, open_folder, shard_is_whole, shard_path, write_shard
from compress.teachers.base import Teacher
from edgevoice.progress import track

SHARD = 40
FORMAT = 1

MakeTeacher = Callable[[], Teacher]

_teacher: Teacher | None = None


@dataclass(frozen=True)
class Job:
    """A shard that is to be made."""

    number: int
    texts: list[str]
    with_audio: bool


def label_key(teacher: Teacher, texts: str) -> str:
    """What labels depend on; ``texts`` names the text source, as shard n always holds the same sentences."""
    parts = {"format": FORMAT, "teacher": teacher.identity, "texts": texts, "shard": SHARD}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def label(
    make_teacher: MakeTeacher,
    texts: Iterable[str],
    texts_name: str,
    root: Path,
    jobs: int = 1,
    with_audio: int | None = None,
) -> int:
    """Label ``texts`` into ``root``; returns how many shards were made now.

    ``with_audio``: of how many texts the audio is made too, in whole shards; None: of all. Only a vocoder
    needs it, and it is nearly all of a heavy teacher's work.
    ``make_teacher`` must be picklable (a module's function or a partial of one): each process makes its own.
    """
    teacher = make_teacher()
    info = LabelInfo(
        teacher.name,
        label_key(teacher, texts_name),
        teacher.sample_rate,
        teacher.hop,
        full_scale=teacher.full_scale,
        noise={stage: [float(n) for n in pair] for stage, pair in teacher.noise.items()},
    )
    open_folder(root, info)
    todo = [
        Job(number, batch, with_audio is None or number * SHARD < with_audio)
        for number, batch in enumerate(_batches(texts))
    ]
    todo = [one for one in todo if not shard_is_whole(shard_path(root, one.number), info.key, one.with_audio)]
    for _ in track(_run(make_teacher, todo, root, info, jobs), "labelling", total=len(todo)):
        pass
    return len(todo)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(islice(stream, SHARD)):
        yield batch


def _run(
    make_teacher: MakeTeacher, todo: Sequence[Job], root: Path, info: LabelInfo, jobs: int
) -> Iterator[int]:
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(make_teacher,)
    ) as pool:
        waiting = [pool.submit(_make_shard, job, root, info) for job in todo]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            for future in waiting:
                future.cancel()


def _start(make_teacher: MakeTeacher) -> None:
    global _teacher
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _teacher = make_teacher()


def _end_with_parent() -> None:
    """A pool's process holds both ends of its queue, so it would outwait a parent that was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make_shard(job: Job, root: Path, info: LabelInfo) -> int:
    assert _teacher is not None
    rows = []
    for place, text in enumerate(job.texts):
        seed = job.number * SHARD + place
        ids = _teacher.phonemes(text)
        if len(ids):
            rows.append((text, seed, _teacher.speak(ids, seed, job.with_audio)))
    write_shard(shard_path(root, job.number), info.key, rows)
    return job.number
