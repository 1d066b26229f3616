"""The bodies as plain RQ jobs."""

from __future__ import annotations

from collections.abc import Iterable

import django_rq

from benchmarks.projects import bodies

QUEUE = django_rq.get_queue("default")  # kept: each `django_rq.enqueue` opens a connection


def enqueue(kind: str, number: int) -> None:
    QUEUE.enqueue(getattr(bodies, kind), number)


def enqueue_many(kind: str, numbers: Iterable[int]) -> None:
    QUEUE.enqueue_many([QUEUE.prepare_data(getattr(bodies, kind), (number,)) for number in numbers])
