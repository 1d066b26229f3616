"""A worker's lifeline: broken when no process of it is left, and at no other time."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from taskcenter.models import Task, Worker
from taskcenter.recovery import TaskRecovery, lifelines
from tests.factories import make_task, make_worker
from tests.processes import Process, wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(sys.platform != "linux", reason="no /dev/shm: heartbeats tell"),
]

HOLD = """
import os, signal, sys, uuid, django
django.setup()
from pathlib import Path
from taskcenter.recovery import lifelines
lifelines.SHARED_MEMORY = Path(sys.argv[1])
line = lifelines.hold(uuid.UUID(sys.argv[2]))
child = os.fork() if "fork" in sys.argv else -1
if child:
    print("holds", bool(line), "child", child, flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of /dev/shm."""
    monkeypatch.setattr(lifelines, "SHARED_MEMORY", tmp_path)
    return tmp_path / f"taskcenter-{os.geteuid()}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[Process, int]]]:
    """Starts a process that holds the lifeline of an incarnation; it, and its child if it is to have one."""
    started: list[Process] = []

    def run(incarnation: uuid.UUID, *options: str) -> tuple[Process, int]:
        command = [sys.executable, "-c", HOLD, str(tmp_path), str(incarnation), *options]
        started.append(Process(command, log=tmp_path / f"{len(started)}.log"))
        return started[-1], int(started[-1].wait_for_line(r"holds True child (-?\d+)", 60)[1])

    yield run
    for one in started:
        one.kill9()


def test_it_is_broken_when_the_process_is_killed_and_not_before(start: Callable[..., tuple[Process, int]]) -> None:
    incarnation = uuid.uuid4()
    process, _ = start(incarnation)
    assert lifelines.broken() == []
    os.kill(process.pid, signal.SIGSTOP)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, what="it is stopped")
    assert lifelines.broken() == [], "a process that is stopped lives"
    os.kill(process.pid, signal.SIGKILL)
    process.popen.wait(20)
    assert lifelines.broken() == [incarnation]
    lifelines.forget([incarnation])
    assert lifelines.broken() == []


def test_it_holds_as_long_as_a_child_lives(start: Callable[..., tuple[Process, int]]) -> None:
    """A slot that outlives its parent may still be in the middle of a task."""
    incarnation = uuid.uuid4()
    process, child = start(incarnation, "fork")
    os.kill(process.pid, signal.SIGKILL)
    process.popen.wait(20)
    assert lifelines.broken() == []
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: lifelines.broken() == [incarnation], what="the last process is gone")


def test_one_that_was_dropped_in_good_order_is_no_news(folder: Path) -> None:
    line = lifelines.hold(uuid.uuid4())
    assert line is not None
    assert lifelines.broken() == [], "it is our own"
    line.drop()
    assert lifelines.broken() == []
    assert list(folder.iterdir()) == []


def make_broken(folder: Path, incarnation: uuid.UUID) -> Path:
    """A lifeline that nobody holds."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / lifelines._name(incarnation)
    path.touch()
    return path


def test_those_of_another_database_are_none_of_our_business(folder: Path) -> None:
    theirs = make_broken(folder, uuid.uuid4())
    theirs.rename(folder / f"{'0' * 16}-{uuid.uuid4().hex}")
    assert lifelines.broken() == []


@pytest.mark.parametrize("spoil", ["others may write", "not a folder"])
def test_a_folder_that_is_not_ours_alone_is_not_believed(folder: Path, spoil: str) -> None:
    """Whoever can put a file there could have a living worker buried."""
    make_broken(folder, uuid.uuid4())
    if spoil == "others may write":
        folder.chmod(0o777)
    else:
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to(folder.with_name("elsewhere"))
    assert lifelines.broken() == []
    assert lifelines.hold(uuid.uuid4()) is None


def test_without_the_folder_nothing_is_promised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lifelines, "SHARED_MEMORY", tmp_path / "nowhere")
    assert lifelines.hold(uuid.uuid4()) is None
    assert lifelines.broken() == []
    lifelines.forget([uuid.uuid4()])


def test_what_nobody_looks_after_any_more_is_tidied_up(folder: Path) -> None:
    old, young = make_broken(folder, uuid.uuid4()), make_broken(folder, uuid.uuid4())
    os.utime(old, (time.time() - 2 * lifelines.DAY,) * 2)
    line = lifelines.hold(uuid.uuid4())
    assert line is not None
    assert set(folder.iterdir()) == {young, line.path}
    line.drop()


def test_a_dead_neighbour_s_tasks_run_again_however_fresh_its_heartbeat(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead, alive = make_worker(host="web1", pid=7), make_worker()
    lost, running = (make_task("processing", worker=one) for one in (dead, alive))
    path = make_broken(folder, dead.id)
    swept = TaskRecovery().recover_neighbours()
    assert (swept.count, swept.workers_retired) == (1, 1)
    assert Task.objects.get(id=lost.id).state == "pending"
    assert Task.objects.get(id=running.id).state == "processing"
    assert set(Worker.objects.filter(stopped_at=None)) == {alive}
    assert "Worker web1:7 is dead: no process of it is left on this host" in caplog.text
    assert not path.exists()
    assert not TaskRecovery().recover_neighbours().did_anything


def test_a_death_that_could_not_be_written_is_not_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = make_worker()
    make_broken(folder, dead.id)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(TaskRecovery, "recover_lost", away)
        with pytest.raises(ConnectionError):
            TaskRecovery().recover_neighbours()
    assert lifelines.broken() == [dead.id]
