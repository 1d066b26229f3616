"""The process that enqueues: it reads what to do from its input, a JSON object a line, and answers in kind."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import django

CHUNK = 1000
"""Tasks per bulk call."""


def one_by_one(tasks: ModuleType, kind: str, count: int) -> dict[str, Any]:
    def work() -> None:
        for number in range(count):
            tasks.enqueue(kind, number)

    return _timed(work)


def one(tasks: ModuleType, kind: str, number: int) -> dict[str, Any]:
    return _timed(lambda: tasks.enqueue(kind, number))


def in_bulk(tasks: ModuleType, kind: str, count: int) -> dict[str, Any]:
    def work() -> None:
        for start in range(0, count, CHUNK):
            tasks.enqueue_many(kind, range(start, min(start + CHUNK, count)))

    return _timed(work)


def paced(tasks: ModuleType, kind: str, count: int, pace: float) -> dict[str, Any]:
    """So many a second; when each call began (monotonic)."""
    begun, sent = time.monotonic(), []
    for number in range(count):
        time.sleep(max(0.0, begun + number / pace - time.monotonic()))
        sent.append(time.monotonic())
        tasks.enqueue(kind, number)
    return {"sent": sent}


def mixed(tasks: ModuleType, count: int, every: int) -> dict[str, Any]:
    """Short tasks, and each `every`-th a slow one."""

    def work() -> None:
        for number in range(count):
            tasks.enqueue("ended" if number % every else "slow", number)

    return _timed(work)


def sign_in(tasks: ModuleType) -> dict[str, Any]:
    """The key of a session, for who watches."""
    return {"session": tasks.session()}


def _timed(work: Callable[[], None]) -> dict[str, Any]:
    begun, used = time.monotonic(), time.process_time()
    work()
    return {"seconds": time.monotonic() - begun, "cpu": time.process_time() - used}


ACTIONS = {action.__name__: action for action in (one_by_one, one, in_bulk, paced, mixed, sign_in)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a peer prints must not look like an answer
    django.setup()
    tasks = import_module(f"benchmarks.projects.{sys.argv[1]}.tasks")
    for line in sys.stdin:
        details = json.loads(line)
        answers.write(json.dumps(ACTIONS[details.pop("do")](tasks, **details)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
