"""TaskCenter: one worker with two slots, each transition committed before the next, or in batches."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["DONE", "RUNNERS"]

DONE = "SELECT count(*) FROM taskcenter_task WHERE state = 'completed'"
WORKER = ("-m", "django", "rqworker", "--concurrency", "2", "--verbosity", "0")


def _ours(name: str, about: str, *, batch: int, tasks: int) -> Runner:
    return Runner(
        name=name,
        about=about,
        project="ours",
        pins=pins.TASKCENTER,
        workers=(WORKER,),
        done=DONE,
        tasks=tasks,
        bulk=True,
        environment=(("BENCH_BATCH", str(batch)),),
    )


RUNNERS = (
    _ours("ours-strict", 'TaskCenter, `TASKCENTER["BATCH"] = 1`: one commit per transition', batch=1, tasks=5000),
    _ours("ours-batches", 'TaskCenter, `TASKCENTER["BATCH"] = 64`, the default', batch=64, tasks=30_000),
)
