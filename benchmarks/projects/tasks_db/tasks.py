"""The bodies as tasks of django.tasks; its worker imports them from here by name."""

from __future__ import annotations

from django_tasks import task

from benchmarks.projects import bodies


@task
def noop(number: int) -> int:
    return bodies.noop(number)


@task
def nap(number: int) -> int:
    return bodies.nap(number)


@task
def stamp(number: int) -> int:
    return bodies.stamp(number)


TASKS = {"noop": noop, "nap": nap, "stamp": stamp}


def enqueue(kind: str, number: int) -> None:
    TASKS[kind].enqueue(number)
