"""A Redis that answers, but takes no more: `maxmemory` is reached and nothing may be evicted."""

from __future__ import annotations

from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import mark


def test_tasks_are_enqueued_and_run_while_redis_is_full(stack: Stack) -> None:
    worker = stack.worker()
    wait_until(worker.slots, "the worker has a slot")
    stack.redis().config_set("maxmemory", "1")

    ids = [stack.enqueue(mark) for _ in range(5)]
    require_fired(stack.waiting_pointers() == 0, "the full Redis took a pointer")
    stack.wait_final(*ids)
    stack.assert_completed(ids)
    assert worker.popen.poll() is None, "the worker lives"
