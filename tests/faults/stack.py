"""What the fault tests pull plugs out of: a Valkey, workers, a ledger; and what must hold afterwards."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from django.contrib.auth import get_user_model

from taskcenter.models import Notification, Report, Task, TaskEvent, Worker
from taskcenter.pointers import queue_key
from taskcenter.recovery import lifelines
from tests import servers
from tests.ledger.book import Book
from tests.processes import Process, manage, wait_for
from tests.wakes import hear_out

PATIENCE = 60.0
"""Seconds a test waits for a condition: a net for slow machines, never a measure."""


def wait_until(condition: Callable[[], Any], what: str | Callable[[], str]) -> Any:
    """The first true value of `condition()`; fails the test, saying `what` did not come."""
    return wait_for(condition, PATIENCE, what)


def require_fired(fired: Any, what: str) -> None:
    """A case whose fault did not happen has shown nothing."""
    if not fired:
        pytest.fail(f"VACUOUS: {what}")


def is_gone(process: psutil.Process) -> bool:
    """Whether a process runs no more; one that nobody has reaped yet runs no more either."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class WorkerProcess(Process):
    """One `manage.py rqworker`, with what runs below it."""

    def slots(self) -> list[psutil.Process]:
        """The living slots."""
        try:
            children = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []
        return [child for child in children if not is_gone(child)]

    def rows(self) -> list[Worker]:
        """The incarnations of this worker, the oldest first."""
        return list(Worker.objects.filter(pid=self.pid).order_by("started_at"))

    def freeze(self) -> None:
        """SIGSTOP the parent and its slots: as a suspended machine, or a container that is paused."""
        self._frozen = [psutil.Process(self.pid), *self.slots()]
        for process in self._frozen:
            process.suspend()
        for process in self._frozen:
            wait_until(lambda it=process: it.status() == psutil.STATUS_STOPPED, "the process is stopped")

    def thaw(self) -> None:
        for process in self._frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class BlackHole:
    """A server that accepts every connection and never says a word."""

    def __init__(self, port: int) -> None:
        self.accepted: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", port), backlog=128)
        self._thread = threading.Thread(target=self._swallow, daemon=True)
        self._thread.start()

    def _swallow(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self._server.accept()[0])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for connected in self.accepted:
            connected.close()


class Stack:
    """A private Valkey, the test database, a ledger, and any number of workers."""

    def __init__(self, directory: Path, settings: Any) -> None:
        self.directory = directory
        self.settings = settings
        self.port = servers.free_port()
        self.book = Book(directory / "ledger.sqlite3")
        self.owner = get_user_model().objects.create_user("owner", password="pw")
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.valkey: servers.ValkeyServer | None = None
        self._workers: list[WorkerProcess] = []
        settings.REDIS_URL = self.url
        settings.RQ_QUEUES = {name: {"URL": self.url} for name in ("default", "analysis")}

    def start_valkey(self, *, port: int = 0, persistent: bool = False) -> servers.ValkeyServer:
        """At the address that all have been given, or at another one, behind a proxy."""
        self.valkey = servers.start_valkey(self.directory / "valkey", port=port or self.port, persistent=persistent)
        return self.valkey

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def waiting_pointers(self, queue: str = "default", *, heard: bool = True) -> int:
        """How many there are once Redis has `heard` all that we have sent."""
        if heard:
            hear_out()
        with self.redis() as client:
            return int(client.llen(queue_key(queue)))

    def worker(self, *options: str, concurrency: int = 1, **environment: str) -> WorkerProcess:
        """Start a worker, and wait until it has slots."""
        started = self.start(*options, concurrency=concurrency, **environment)
        started.wait_until(lambda: started.rows() and started.slots(), "it is up", PATIENCE)
        return started

    def start(self, *options: str, concurrency: int = 1, **environment: str) -> WorkerProcess:
        """Start a worker that may not come up."""
        log = self.directory / f"worker-{len(self._workers)}.log"
        command = manage("rqworker", "--concurrency", str(concurrency), *options)
        environment = {"REDIS_URL": self.url, "LEDGER_PATH": str(self.book.path), **environment}
        started = WorkerProcess(command, log=log, **environment)
        self._workers.append(started)
        return started

    def enqueue(self, definition: Any, *args: Any) -> str:
        """A task that works for the owner; its id."""
        return str(definition.using(owner=self.owner).enqueue(*args).id)

    def wait_begun(self, task_id: str, attempt: int = 1) -> None:
        wait_until(lambda: attempt in self.book.begun(task_id), f"attempt {attempt} has begun")

    def worker_beats(self, row: Worker, times: int) -> None:
        """Wait for so many heartbeats of that incarnation."""
        for _ in range(times):
            seen = Worker.objects.get(id=row.id).heartbeat_at
            wait_until(lambda at=seen: Worker.objects.get(id=row.id).heartbeat_at != at, "another heartbeat")

    def wait_final(self, *task_ids: str) -> None:
        wait_until(
            lambda: not Task.objects.live().filter(id__in=task_ids).exists(),
            lambda: f"{len(task_ids)} tasks have ended; logs:\n" + self.logs(),
        )

    def events(self, task_id: str) -> list[str]:
        return list(TaskEvent.objects.filter(task_id=task_id).told().values_list("kind", flat=True))

    def logs(self) -> str:
        return "\n".join(f"--- {worker.log.name}\n{worker.output()[-1500:]}" for worker in self._workers)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill9()
        lifelines.forget(lifelines.broken())
        if self.valkey is not None:
            self.valkey.stop()

    # What must hold after any fault.

    def assert_completed(self, task_ids: Iterable[str]) -> None:
        """Each task ended once, well, and by the attempt that owns its row."""
        for task_id in task_ids:
            task = Task.objects.get(id=task_id)
            assert task.state == "completed", f"{task.definition}: {task.state}, {task.error_message}"
            self._assert_one_finish(task)
            assert task.result["attempt"] == task.attempt, "the result of a superseded attempt is on the row"
            final = Report.objects.filter(task=task, is_final=True).values_list("attempt", "data")
            assert list(final) == [(task.attempt, {"attempt": task.attempt})]

    def assert_nothing_ran_twice(self) -> None:
        """Each task of the database began once, and nobody is blamed. Attempts that never began do not count:
        a slot hands back the rest of a batch when a task before it takes long.
        """
        for task in Task.objects.all():
            assert len(self.book.begun(task.id)) == 1, f"{task.definition} began more than once"
            assert (task.failures, task.crashes) == (0, 0)

    def assert_failed(self, task_id: str) -> Task:
        """The task ended once, as failed."""
        task = Task.objects.get(id=task_id)
        assert task.state == "failed"
        self._assert_one_finish(task)
        assert not Report.objects.filter(task=task, is_final=True).exists()
        return task

    def _assert_one_finish(self, task: Task) -> None:
        assert task.finished_at is not None
        told = Notification.objects.filter(task=task).values_list("attempt", "kind")
        assert list(told) == [(task.attempt, task.state)], "one notification per finish"
        begun = self.book.begun(task.id)
        assert begun == sorted(set(begun)), "one row per (task, attempt)"
        assert set(begun) <= set(range(1, task.attempt + 1)), "an attempt ran that nobody claimed"
        assert task.attempt in begun, "the task ended by an attempt that never began"
