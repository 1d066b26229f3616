"""A page asks and asks, and reads nothing of what it is told."""

from __future__ import annotations

import asyncio
import json

import psutil

from taskcenter.models import Task
from taskcenter.wire import progress_channel
from tests.factories import make_task
from tests.faults.pages import Page, Readers, assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold

MANY = 200
ASKED = 60
"""Times: each answer has two hundred kilobytes, and the kernel holds some megabytes between the two."""
LET_GO = "A page has taken nothing for 2 s and is let go"


async def ask_and_not_read(page: Page) -> None:
    async with page._connect() as line:
        line.transport.pause_reading()
        for _ in range(ASKED):
            await line.send(json.dumps({"type": "subscribe", "tasks": [{"id": key} for key in page.wanted]}))
        await asyncio.Event().wait()


def megabytes(readers: Readers) -> float:
    return float(psutil.Process(readers.site.process.pid).memory_info().rss) / 1_000_000


def test_it_is_let_go_costs_no_memory_and_hurts_nobody(stack: Stack) -> None:
    stack.worker()
    make_task("completed", owner=stack.owner)
    rows = [Task(definition="x", owner=stack.owner, title="x" * 200) for _ in range(MANY)]
    ids = [str(task.id) for task in Task.objects.bulk_create(rows)]
    with watching(stack) as readers:
        task_id = stack.enqueue(hold)
        page = readers.open(stack.owner, task_id)
        before = megabytes(readers)
        readers.run(ask_and_not_read(Page(readers.site, stack.owner, ids, {})))
        wait_until(lambda: LET_GO in readers.site.process.output(), "the slow page is let go")
        require_fired("Traceback" not in readers.site.process.output(), "it was closed by an error")
        with stack.redis() as client:
            wait_until(
                lambda: not any(count for _, count in client.pubsub_numsub(*map(progress_channel, ids))),
                "nobody watches its tasks any more",
            )
        assert megabytes(readers) - before < 40
        stack.book.open_gate(1)
        stack.wait_final(task_id)
        wait_until(lambda: page.state(task_id) == "completed", "the other page knows the end")
        assert_true(page, task_id)
