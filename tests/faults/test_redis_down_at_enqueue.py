"""Redis is down: connections are refused."""

from __future__ import annotations

import redis

from tests.faults.stack import Stack, require_fired
from tests.ledger.tasks import mark


def answers(stack: Stack) -> bool:
    with stack.redis() as client:
        try:
            return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False


def test_tasks_enqueued_without_redis_run_when_it_is_back(bare_stack: Stack) -> None:
    require_fired(not answers(bare_stack), "Redis answers")
    task_ids = [bare_stack.enqueue(mark, number) for number in range(20)]

    bare_stack.start_valkey()
    bare_stack.worker()
    bare_stack.wait_final(*task_ids)
    bare_stack.assert_completed(task_ids)


def test_a_worker_runs_tasks_while_redis_is_down(stack: Stack) -> None:
    worker = stack.worker()
    assert stack.valkey is not None
    stack.valkey.kill9()
    require_fired(not answers(stack), "Redis answers")
    task_ids = [stack.enqueue(mark, number) for number in range(20)]
    stack.wait_final(*task_ids)
    require_fired(not answers(stack), "Redis answers")
    stack.assert_completed(task_ids)

    stack.valkey.restart()
    later = stack.enqueue(mark)
    stack.wait_final(later)
    stack.assert_completed([later])
    assert worker.popen.poll() is None
