"""The push: one command, and what stands in Redis after it is a job that RQ understands."""

from __future__ import annotations

import os
import time
import uuid
import warnings
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from taskcenter import pointers, wire
from taskcenter.conf import redis_queues
from taskcenter.wire import redis_is_trusted
from tests.integration.rivals import at_once
from tests.processes import wait_for
from tests.servers import ValkeyServer, free_port
from tests.wakes import hear_out


def listed(client: redis.Redis, queue: str = "default") -> list[str]:
    return Queue(queue, connection=client, serializer=JSONSerializer).job_ids


def test_rq_reads_a_pointer_as_a_job_of_its_own(redis_client: redis.Redis) -> None:
    task_id = uuid.uuid4()
    assert pointers.push([(task_id, "analysis")])
    [job] = Queue("analysis", connection=redis_client, serializer=JSONSerializer).jobs
    assert (job.func_name, job.args, job.kwargs) == (pointers.FUNCTION, [str(task_id)], {})
    assert job.description == f"{pointers.FUNCTION}('{task_id}')"
    assert (job.origin, job.get_status().value, job.timeout) == ("analysis", "queued", -1)
    assert job.created_at == job.enqueued_at
    assert job.instance is None
    assert [queue.name for queue in Queue.all(connection=redis_client)] == ["analysis"]
    assert 0 < redis_client.ttl(Job.key_for(job.id)) <= pointers.LIFETIME  # type: ignore[operator]


def test_many_go_in_their_order_each_to_its_queue(redis_client: redis.Redis) -> None:
    wanted = [(uuid.uuid4(), ("default", "analysis")[number % 2]) for number in range(2500)]
    assert pointers.push(wanted)
    for queue in ("default", "analysis"):
        assert listed(redis_client, queue) == [pointers.pointer_id(one) for one, name in wanted if name == queue]
    assert len(redis_client.keys("rq:job:*")) == 2500  # type: ignore[arg-type]


def test_a_server_that_forgot_the_script_is_told_again(redis_client: redis.Redis) -> None:
    for _ in range(2):
        redis_client.script_flush()
        assert pointers.push([(uuid.uuid4(), "default")])
    assert len(listed(redis_client)) == 2


def test_a_push_is_one_command(redis_client: redis.Redis) -> None:
    pointers.push([(uuid.uuid4(), "default")])
    redis_client.config_resetstat()
    pointers.push([(uuid.uuid4(), "default") for _ in range(100)])
    stats: Any = redis_client.info("commandstats")
    from_clients = {name for name in stats if name.removeprefix("cmdstat_") in {"evalsha", "eval", "multi", "exec"}}
    assert from_clients == {"cmdstat_eval"}
    assert stats["cmdstat_eval"]["calls"] == 1


def connections_of(client: redis.Redis) -> int:
    return len(client.client_list())


def test_pushes_one_after_the_other_share_a_connection(redis_client: redis.Redis) -> None:
    pointers.push([(uuid.uuid4(), "default")])
    before = connections_of(redis_client)
    for _ in range(10):
        pointers.push([(uuid.uuid4(), "default")])
    assert connections_of(redis_client) == before


def test_a_connection_that_the_server_has_closed_costs_no_pointer(redis_client: redis.Redis) -> None:
    """As servers do with clients that were idle for long."""
    pointers.push([(uuid.uuid4(), "default")])
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert pointers.push([(uuid.uuid4(), "default")])
    assert len(listed(redis_client)) == 2
    assert redis_is_trusted()


def test_waking_waits_for_no_answer(redis_client: redis.Redis) -> None:
    redis_client.client_pause(60_000, all=False)  # whatever writes
    pointers.wake(uuid.uuid4(), "default")
    assert redis_is_trusted(), "it waited until its time was up"
    redis_client.client_unpause()
    wait_for(lambda: len(listed(redis_client)) == 1)


def test_who_wakes_hears_of_a_refusal_the_next_time(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    pointers.wake(uuid.uuid4(), "default")
    hear_out()
    redis_client.config_set("maxmemory", 1)
    try:
        pointers.wake(uuid.uuid4(), "default")
        assert redis_is_trusted(), "it cannot know yet"
        pointers.wake(uuid.uuid4(), "default")
        assert not redis_is_trusted()
        assert "maxmemory" in caplog.text
    finally:
        redis_client.config_set("maxmemory", 0)
        wire._breaker.reset()


def test_a_server_that_came_back_meanwhile_is_woken(valkey: ValkeyServer, settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": valkey.url}}
    pointers.wake(uuid.uuid4(), "default")
    valkey.kill9()
    valkey.restart()
    pointers.wake(uuid.uuid4(), "default")
    with redis.Redis.from_url(valkey.url) as client:
        wait_for(lambda: len(listed(client)) == 1)
    assert redis_is_trusted()


def test_a_queue_that_has_enough_is_left_alone_for_a_moment(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointers, "FULL_FOR", 3600.0)
    monkeypatch.setattr(pointers, "_full_until", {})
    pointers.push([(uuid.uuid4(), "default") for _ in range(pointers.ENOUGH - 1)])
    for _ in range(20):  # the second of them hears how many there are
        pointers.wake(uuid.uuid4(), "default")
    wait_for(lambda: len(listed(redis_client)) == pointers.ENOUGH + 1)

    monkeypatch.setattr(pointers, "_full_until", {"default": time.monotonic()})
    pointers.wake(uuid.uuid4(), "default")
    wait_for(lambda: len(listed(redis_client)) == pointers.ENOUGH + 2)


def test_threads_that_push_at_once_do_not_mix_their_answers(redis_client: redis.Redis) -> None:
    def push(_: int) -> bool:
        return all(pointers.push([(uuid.uuid4(), "default")]) for _ in range(20))

    assert all(at_once(8, push))
    assert len(set(listed(redis_client))) == 160


def test_a_fork_has_a_connection_of_its_own(redis_client: redis.Redis) -> None:
    pointers.push([(uuid.uuid4(), "default")])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # threads of other tests
        child = os.fork()
    if not child:
        inherited = len(pointers._idle)
        os._exit(0 if pointers.push([(uuid.uuid4(), "default")]) and not inherited else 1)
    for _ in range(50):
        pointers.push([(uuid.uuid4(), "default")])
    assert os.waitpid(child, 0)[1] == 0
    assert len(listed(redis_client)) == 52


def test_nothing_to_push_asks_nobody(redis_client: redis.Redis, settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": f"redis://127.0.0.1:{free_port()}/0"}}
    assert pointers.push([])
    assert redis_queues()
