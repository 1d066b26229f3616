"""Every answer comes late, and every tenth packet is lost: slow, but nothing is down."""

from __future__ import annotations

import time

from tests.faults.network import database_behind, redis_behind, through
from tests.faults.plugs import needs_postgres
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark
from tests.ledger.villains import patient

SEED = 29
LATENCY, LOSS = 0.5, 0.1
"""Seconds each way: as long as a quick call to Redis waits at most."""
PROMISE = 3.0
"""Seconds that a hundred enqueues may take in all: one waits for Redis, the others do not ask it."""
FAR = 0.05
"""Seconds each way to a database on another continent; the tests' heartbeat is one second."""


def test_a_slow_redis_delays_and_loses_nothing(bare_stack: Stack) -> None:
    """Each answer comes later than a quick call waits: pointers are pushed twice, or in vain."""
    stack = bare_stack
    with redis_behind(stack, seed=SEED) as proxy:
        worker = stack.worker(concurrency=2)
        held = stack.enqueue(hold)
        stack.wait_begun(held)
        [row] = worker.rows()
        with proxy.slow(latency=LATENCY, loss=LOSS):
            begun = time.monotonic()
            ids = [stack.enqueue(mark, number) for number in range(100)]
            took = time.monotonic() - begun
            stack.worker_beats(row, 4)
            stack.wait_final(*ids)
            wait_until(lambda: proxy.lost, "a packet is lost")
        stack.book.open_gate(1)
        stack.wait_final(held)

        assert took < PROMISE
        stack.assert_completed([held, *ids])
        stack.assert_nothing_ran_twice()
        assert [one.id for one in worker.rows()] == [row.id], "it was taken for dead"
        wait_until(lambda: not stack.waiting_pointers(), "no pointer outlives its task")


@needs_postgres
def test_a_slow_way_to_the_database_kills_nobody(stack: Stack) -> None:
    with database_behind(seed=SEED) as proxy:
        worker = stack.worker(concurrency=2, **through(proxy))
        held = stack.enqueue(hold)
        stack.wait_begun(held)
        [row] = worker.rows()
        watcher = stack.worker()
        with proxy.slow(latency=FAR, loss=LOSS):
            ids = [stack.enqueue(patient) for _ in range(5)]
            stack.worker_beats(row, 3)
            wait_until(lambda: proxy.lost, "a packet is lost")
            stack.wait_final(*ids)
            stack.book.open_gate(1)
            stack.wait_final(held)
        require_fired(proxy.lost, "no packet was lost")

        stack.assert_completed([held, *ids])
        assert stack.book.begun(held) == [1], "a slow worker was taken for dead"
        assert [one.id for one in worker.rows()] == [row.id]
        assert watcher.popen.poll() is None
