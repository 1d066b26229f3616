"""The bodies as Dramatiq actors; what an actor returns would only be logged as unused."""

from __future__ import annotations

import dramatiq

from benchmarks.projects import bodies


@dramatiq.actor
def noop(number: int) -> None:
    bodies.noop(number)


@dramatiq.actor
def nap(number: int) -> None:
    bodies.nap(number)


@dramatiq.actor
def stamp(number: int) -> None:
    bodies.stamp(number)


TASKS = {"noop": noop, "nap": nap, "stamp": stamp}


def enqueue(kind: str, number: int) -> None:
    TASKS[kind].send(number)
