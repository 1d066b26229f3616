"""A worker is killed; its successor has the same name, and by chance the same host and process number."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from taskcenter.models import Task, Worker
from taskcenter.recovery import lifelines
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark

NAME = "one-of-a-kind"


def test_the_new_one_neither_inherits_nor_loses_tasks(stack: Stack) -> None:
    old = stack.worker("--name", NAME)
    [former] = old.rows()
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    lifelines.forget([former.id])  # else the new one notices at once that it is dead
    old.kill9()
    # Its silence shall not be long enough before the new one is up.
    Worker.objects.filter(id=former.id).update(heartbeat_at=timezone.now() + timedelta(hours=1))
    with stack.redis() as client:  # else the name is taken until the silence has been long enough
        client.delete(f"rq:worker:{NAME}")

    new = stack.worker("--name", NAME, concurrency=2)
    [present] = new.rows()
    Worker.objects.filter(id=former.id).update(pid=new.pid)
    alike = Worker.objects.filter(name=NAME, host=present.host, pid=new.pid, stopped_at=None)
    require_fired(alike.count() == 2, "they are not alike, or the old one was buried already")
    Worker.objects.filter(id=former.id).update(heartbeat_at=timezone.now())
    other = stack.enqueue(hold)
    stack.wait_begun(other)

    stack.wait_begun(task_id, attempt=2)
    wait_until(lambda: Worker.objects.get(id=former.id).stopped_at, "the old one is retired")
    assert Worker.objects.get(id=present.id).is_alive, "the new one was retired with the old"
    held = dict(Task.objects.processing().values_list("id", "worker_id"))
    assert {str(one): worker for one, worker in held.items()} == {task_id: present.id, other: present.id}
    for attempt in (1, 2):
        stack.book.open_gate(attempt)
    after = stack.enqueue(mark)
    stack.wait_final(task_id, other, after)

    stack.assert_completed([task_id, other, after])
    assert stack.book.begun(task_id) == [1, 2]
    assert "recovered" in stack.events(task_id)
    assert Task.objects.get(id=task_id).crashes == 1
    assert stack.book.begun(other) == [1]


def test_a_name_that_is_in_use_is_refused(stack: Stack) -> None:
    """Two workers of one name would overwrite each other's keys in Redis."""
    first = stack.worker("--name", NAME)
    first.wait_until(lambda: has_key(stack), "it is seen in Redis")
    second = stack.start("--name", NAME)
    assert second.wait(60) == 1
    assert f"A worker named '{NAME}' is alive" in second.output()
    assert first.popen.poll() is None


def has_key(stack: Stack) -> bool:
    with stack.redis() as client:
        return bool(client.exists(f"rq:worker:{NAME}"))
