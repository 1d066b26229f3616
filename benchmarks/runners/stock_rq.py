"""RQ's own workers, started by django-rq's command: on our pointers and rows, and on plain jobs."""

from __future__ import annotations

from benchmarks import pins

from .ours import DONE
from .runner import Runner

__all__ = ["RUNNERS"]

FORK, SIMPLE = "rq.Worker", "rq.SimpleWorker"
FORKING_PACE = 10
"""A forking worker cannot keep up with 50 tasks a second."""


def _command(worker_class: str, *more: str) -> tuple[str, ...]:
    return ("-m", "django", "rqworker", "default", "--worker-class", worker_class, "--verbosity", "0", *more)


def _pointers(name: str, about: str, worker_class: str, *, tasks: int, pace: float = 50) -> Runner:
    command = _command(worker_class, "--serializer", "rq.serializers.JSONSerializer")
    return Runner(
        name=name,
        about=about,
        project="pointers",
        pins=pins.TASKCENTER,
        workers=(command, command),
        done=DONE,
        bulk=True,
        tasks=tasks,
        pace=pace,
    )


def _plain(name: str, about: str, worker_class: str, *, tasks: int, pace: float = 50) -> Runner:
    return Runner(
        name=name,
        about=about,
        project="plain_rq",
        pins=pins.RQ,
        workers=(_command(worker_class), _command(worker_class)),
        done="ZCARD rq:finished:default",
        bulk=True,
        tasks=tasks,
        pace=pace,
    )


RUNNERS = (
    _pointers("pointers-simple", "our rows and pointers under two stock `SimpleWorker`s", SIMPLE, tasks=600),
    _pointers("pointers-fork", "our rows and pointers under two stock `Worker`s", FORK, tasks=200, pace=FORKING_PACE),
    _plain("rq-simple", "django-rq, two `SimpleWorker`s; no row", SIMPLE, tasks=2000),
    _plain("rq-fork", "django-rq, two `Worker`s, a fork per job; no row", FORK, tasks=400, pace=FORKING_PACE),
)
