"""Redis is killed and comes back at its address: with all it knew (append-only file), or with nothing."""

from __future__ import annotations

import pytest

from taskcenter.recovery import TaskRecovery
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark


def kill_and_start_again(stack: Stack) -> None:
    assert stack.valkey is not None
    before = stack.valkey.pid
    stack.valkey.kill9()
    stack.valkey.restart()
    require_fired(stack.valkey.pid != before, "it is the same Redis")


@pytest.mark.parametrize("persistent", [True, False], ids=["with persistence", "without"])
def test_what_waits_and_what_runs_is_done_once(bare_stack: Stack, persistent: bool) -> None:
    stack = bare_stack
    stack.start_valkey(persistent=persistent)
    worker = stack.worker()
    running = stack.enqueue(hold)
    stack.wait_begun(running)
    before = stack.waiting_pointers()  # of the one that runs, if its slot did not wait for it
    waiting = [stack.enqueue(mark, number) for number in range(20)]
    pointers = before + 20
    require_fired(stack.waiting_pointers() == pointers, "there was nothing in Redis to lose")
    kill_and_start_again(stack)
    require_fired(stack.waiting_pointers() == pointers * persistent, "it forgot too much, or too little")
    stack.book.open_gate(1)
    late = stack.enqueue(mark)
    stack.wait_final(running, *waiting, late)

    stack.assert_completed([running, *waiting, late])
    stack.assert_nothing_ran_twice()
    assert worker.popen.poll() is None, "the worker lives"
    wait_until(lambda: not stack.waiting_pointers(), "no pointer outlives its task")


@pytest.mark.parametrize("persistent", [True, False], ids=["with persistence", "without"])
def test_a_sweep_makes_pointers_and_rows_agree(bare_stack: Stack, persistent: bool) -> None:
    stack = bare_stack
    stack.start_valkey(persistent=persistent)
    ids = [stack.enqueue(mark, number) for number in range(10)]
    kill_and_start_again(stack)
    lost = 10 - stack.waiting_pointers()
    require_fired(lost == (0 if persistent else 10), "it forgot too much, or too little")

    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == lost
    assert stack.waiting_pointers() == 10
    assert TaskRecovery().recover_stuck_tasks().pointers_pushed == 0
    stack.worker()
    stack.wait_final(*ids)
    stack.assert_completed(ids)


def test_a_worker_sleeps_through_it_and_is_woken_by_the_new_one(stack: Stack) -> None:
    worker = stack.worker()
    before = stack.enqueue(mark)
    stack.wait_final(before)
    kill_and_start_again(stack)
    with stack.redis() as client:
        key = f"rq:worker:{worker.rows()[0].name}"
        shown = lambda: client.sismember("rq:workers", key) and client.hexists(key, "birth")  # noqa: E731 said in two lines
        wait_until(shown, "the worker shows itself again")
        wait_until(lambda: client.info("clients")["blocked_clients"], "its slot listens again")
    after = [stack.enqueue(mark, number) for number in range(5)]
    stack.wait_final(*after)

    stack.assert_completed([before, *after])
    [row] = worker.rows()
    assert row.is_alive, "it was taken for dead"
