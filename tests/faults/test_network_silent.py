"""Packets vanish without a word: a black hole, a connection that only one side still knows, a cut in the middle."""

from __future__ import annotations

from taskcenter.models import Task, Worker
from tests.faults.network import database_behind, redis_behind, through
from tests.faults.plugs import needs_postgres
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark
from tests.ledger.villains import patient


def listens(stack: Stack) -> bool:
    """Whether a slot is blocked on its pointers, asked past the proxy."""
    assert stack.valkey is not None
    with stack.redis().from_url(stack.valkey.url) as client:
        return bool(client.info("clients")["blocked_clients"])


def test_tasks_flow_while_redis_is_in_a_black_hole_and_after(bare_stack: Stack) -> None:
    stack = bare_stack
    with redis_behind(stack) as proxy:
        worker = stack.worker()
        held = stack.enqueue(hold)
        stack.wait_begun(held)
        [row] = worker.rows()
        with proxy.black_hole():
            meanwhile = [stack.enqueue(mark, number) for number in range(20)]
            stack.worker_beats(row, 4)
            stack.book.open_gate(1)
            stack.wait_final(held, *meanwhile)
            require_fired(proxy.held, "nobody fell into the black hole")
        wait_until(lambda: listens(stack), "its slot listens again")
        after = [stack.enqueue(mark, number) for number in range(5)]
        stack.wait_final(*after)

        stack.assert_completed([held, *meanwhile, *after])
        stack.assert_nothing_ran_twice()
        assert [one.id for one in worker.rows()] == [row.id], "it was taken for dead"
        wait_until(lambda: not stack.waiting_pointers(), "no pointer outlives its task")


def test_a_slot_whose_connection_is_half_open_still_finds_work(bare_stack: Stack) -> None:
    """It waits for pointers, and says nothing that could be answered with a reset."""
    stack = bare_stack
    with redis_behind(stack) as proxy:
        worker = stack.worker()
        wait_until(lambda: listens(stack), "its slot listens")
        require_fired(proxy.forget_connections() >= 2, "there were no connections to forget")
        ids = [stack.enqueue(mark, number) for number in range(10)]
        stack.wait_final(*ids)
        wait_until(lambda: proxy.resets, "somebody spoke to nobody")
        wait_until(lambda: listens(stack), "its slot listens again")
        woken = stack.enqueue(mark)
        stack.wait_final(woken)

        stack.assert_completed([*ids, woken])
        assert worker.popen.poll() is None


def test_a_push_that_is_cut_in_the_middle_costs_time_alone(bare_stack: Stack) -> None:
    stack = bare_stack
    with redis_behind(stack) as proxy:
        proxy.cut_after(2000)
        ids = [stack.enqueue(mark, number) for number in range(50)]
        require_fired(proxy.resets, "nothing was cut")
        stack.worker()
        stack.wait_final(*ids)

        stack.assert_completed(ids)
        stack.assert_nothing_ran_twice()


@needs_postgres
def test_a_worker_cut_off_from_the_database_is_replaced_and_cannot_write_later(stack: Stack) -> None:
    """It runs on, and what it sent into the hole arrives when others have done its work."""
    with database_behind() as proxy:
        worker = stack.worker(**through(proxy))
        task_id = stack.enqueue(hold)
        stack.wait_begun(task_id)
        with proxy.black_hole():
            stack.worker()
            stack.wait_begun(task_id, attempt=2)
            stack.book.open_gate(1)  # the first one wants to write its report and its end now
            wait_until(lambda: proxy.held >= 2, "it ran into the black hole")
            stack.book.open_gate(2)
            stack.wait_final(task_id)
            require_fired(stack.book.ended(task_id) == [2], "the first attempt was over before")
        wait_until(lambda: "superseded" in stack.events(task_id), "the late result was set aside")
        wait_until(lambda: len(worker.rows()) == 2, "it registered anew")

        stack.assert_completed([task_id])
        assert stack.book.begun(task_id) == [1, 2]
        assert Task.objects.get(id=task_id).attempt == 2
        after = [stack.enqueue(mark, number) for number in range(5)]
        stack.wait_final(*after)
        stack.assert_completed(after)
        wait_until(lambda: Worker.objects.get(id=worker.rows()[-1].id).is_alive, "it is back")


@needs_postgres
def test_half_open_connections_to_the_database_are_made_anew(stack: Stack) -> None:
    with database_behind() as proxy:
        worker = stack.worker(concurrency=2, **through(proxy))
        ids: list[str] = []
        for _ in range(3):
            wait_until(lambda: proxy.connections >= 3, "the parent and both slots are connected")
            require_fired(proxy.forget_connections(probed=True), "there were no connections to forget")
            some = [stack.enqueue(patient) for _ in range(10)]
            stack.wait_final(*some)
            ids += some
        require_fired(proxy.resets, "nobody spoke to a connection that is gone")

        stack.assert_completed(ids)
        assert set(Task.objects.values_list("crashes", flat=True)) == {0}
        [row] = worker.rows()
        wait_until(lambda: row.is_alive, "it lives")
