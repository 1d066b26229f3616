"""Redis runs out of memory and throws keys away as its policy says: pointers, their hashes, workers' keys."""

from __future__ import annotations

import itertools

import pytest
import redis

from taskcenter.models import Task
from taskcenter.pointers import pointer_id, queue_key
from taskcenter.recovery import TaskRecovery
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark

POLICIES = ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"]
FILLING = 4096
MOST = 20_000
"""Keys after which something must have been thrown away."""


def fill(client: redis.Redis, policy: str, victim: str) -> None:
    """Others write until the victim is gone. Keys that may go are needed under each policy."""
    client.config_set("maxmemory-policy", policy)
    client.config_set("maxmemory-samples", 64)
    client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 512 * 1024)
    lasts = None if policy.startswith("allkeys") else 100_000  # longer than any of ours
    for number in itertools.islice(itertools.count(), MOST):
        if not client.exists(victim):
            break
        client.set(f"filling:{number}", b"x" * FILLING, ex=lasts)


def is_shown(client: redis.Redis, key: str) -> bool:
    """Whether RQ's pages see that worker: listed, and with all that it says of itself."""
    return bool(client.sismember("rq:workers", key) and client.hexists(key, "birth"))


@pytest.mark.parametrize("policy", POLICIES)
def test_tasks_whose_pointers_were_evicted_run(stack: Stack, policy: str) -> None:
    waiting = [stack.enqueue(mark, number) for number in range(10)]
    hashes = [f"rq:job:{pointer_id(Task.objects.get(id=one).id)}" for one in waiting]
    victim = queue_key("default") if policy.startswith("allkeys") else hashes[0]
    with stack.redis() as client:
        fill(client, policy, victim)
        require_fired(client.info("stats")["evicted_keys"] and not client.exists(victim), "nothing of ours was evicted")

        # Nobody has room for long: it goes on while they run.
        stack.worker(concurrency=2)
        late = [stack.enqueue(mark, number) for number in range(10)]
        stack.wait_final(*waiting, *late)
    stack.assert_completed([*waiting, *late])
    stack.assert_nothing_ran_twice()


def test_a_worker_whose_own_keys_are_evicted_stays_alive(stack: Stack) -> None:
    worker = stack.worker()
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    [row] = worker.rows()
    key = f"rq:worker:{row.name}"
    with stack.redis() as client:
        wait_until(lambda: is_shown(client, key), "it is seen in Redis")
        fill(client, "allkeys-random", key)
        require_fired(client.info("stats")["evicted_keys"], "nothing was evicted")
        wait_until(lambda: is_shown(client, key), "it shows itself again")
    TaskRecovery().recover_stuck_tasks()
    stack.book.open_gate(1)
    stack.wait_final(task_id)

    stack.assert_completed([task_id])
    assert [one.id for one in worker.rows()] == [row.id], "it was taken for dead"
    assert stack.book.begun(task_id) == [1]
