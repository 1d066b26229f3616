"""The work of a drill: a few kinds that are typical, each of which notes in the ledger what it really did."""

from __future__ import annotations

import time
from uuid import UUID

from taskcenter import task
from taskcenter.context import TaskContext

from .ledger import Ledger

__all__ = ["KINDS", "deliver", "nap", "stumble", "walk"]

CRASHES = 50
"""More than a drill has plugs: no task may use them up."""


@task(takes_context=True, max_crashes=CRASHES)
def deliver(context: TaskContext) -> dict[str, int]:
    """Quick, and with an effect that is there once, however often the task runs."""
    task_id = _begun(context)
    Ledger.of_this_run().effect(task_id)
    return _ended(context)


@task(takes_context=True, max_attempts=CRASHES, backoff=[0.5], max_crashes=CRASHES)
def nap(context: TaskContext, seconds: float) -> dict[str, int]:
    """Waits, as for somebody else's service, and leaves a report.

    The report is a query of the task's own: while the database is away it raises, and that is a failure.
    """
    _begun(context)
    time.sleep(seconds)
    context.report(title="A nap", data={"attempt": context.attempt})
    return _ended(context)


@task(takes_context=True, max_crashes=CRASHES)
def walk(context: TaskContext, steps: int) -> dict[str, int]:
    """Tells its progress step by step."""
    _begun(context)
    for _ in context.progress.track(range(steps), message="walking", unit="steps"):
        time.sleep(0.1)
    return _ended(context)


@task(takes_context=True, max_attempts=2, backoff=[0.5], max_crashes=CRASHES)
def stumble(context: TaskContext) -> dict[str, int]:
    """Fails once, and has no more than that: were a crash counted as a failure, it would be failed for good."""
    _begun(context)
    if not context.row.failures:
        raise RuntimeError("It stumbles once, as it is meant to.")
    return _ended(context)


KINDS = {"deliver": deliver, "nap": nap, "walk": walk, "stumble": stumble}


def _begun(context: TaskContext) -> UUID:
    Ledger.of_this_run().begin(context.row.id, context.attempt)
    return context.row.id


def _ended(context: TaskContext) -> dict[str, int]:
    Ledger.of_this_run().end(context.row.id, context.attempt)
    return {"attempt": context.attempt}
