"""The clock that everybody shares: the database's own, and what happens when it is set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from taskcenter.models import Task, Worker
from taskcenter.models.clock import Ago, Steps, moment
from taskcenter.scheduler import TaskScheduler
from taskcenter.testing import clock
from tests.factories import make_task, make_worker

pytestmark = pytest.mark.django_db

MINUTES = 120


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's clock is minutes ahead, as that of a host that nobody looks after."""
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(seconds=MINUTES))


needs_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite serves one host: it has one clock"
)


@needs_postgres
@pytest.mark.usefixtures("wrong")
def test_a_wrong_clock_of_ours_changes_nobody_s_age() -> None:
    alive, due = make_worker(), make_task("scheduled")
    Worker.objects.filter(id=alive.id).update(heartbeat_at=Ago())
    Task.objects.filter(id=due.id).update(run_after=Ago(-60))
    alive.refresh_from_db()
    assert alive.is_alive
    assert not Worker.objects.silent().exists()
    assert not Task.objects.due().exists()
    assert timezone.now() - alive.heartbeat_at > timedelta(seconds=MINUTES / 2), "our clock was not wrong"


@needs_postgres
@pytest.mark.usefixtures("wrong")
def test_a_worker_is_registered_and_beats_by_the_shared_clock() -> None:
    Worker.objects.register(name="w", host="h", pid=1)
    row = Worker.objects.get()
    assert Worker.objects.beat(row.id)
    row.refresh_from_db()
    now = moment("default")
    assert row.started_at <= row.heartbeat_at <= now
    assert now - row.started_at < timedelta(seconds=MINUTES / 2)


@pytest.mark.parametrize("seconds", [0, 30, -30])
def test_a_moment_and_a_filter_agree(seconds: int) -> None:
    worker = make_worker()
    before = moment("default", seconds)
    Worker.objects.filter(id=worker.id).update(heartbeat_at=Ago(seconds))
    after = moment("default", seconds)
    assert before - timedelta(milliseconds=1) <= Worker.objects.get().heartbeat_at <= after


@pytest.mark.parametrize("step", [MINUTES, -MINUTES])
def test_a_step_is_seen_once(step: int) -> None:
    with clock() as hand:
        steps = Steps(tolerance=10)
        seen = [steps.look("default"), steps.look("default")]
        hand.advance(step)
        seen += [steps.look("default"), steps.look("default")]
    assert seen == [False, False, True, False]


@pytest.mark.django_db(transaction=True)
def test_a_scheduler_judges_nobody_right_after_a_step(settings: Any) -> None:
    settings.TASKCENTER = {"HEARTBEAT": 10, "STALE_AFTER": 30}
    with clock() as hand:
        worker = make_worker()
        running = make_task("processing", worker=worker)
        scheduler = TaskScheduler("default", connection=redis.Redis())
        scheduler._guarded_tick()
        hand.advance(MINUTES)
        scheduler._guarded_tick()
        running.refresh_from_db()
        assert running.state == "processing"
        scheduler._judge_from = 0.0
        scheduler._guarded_tick()
        running.refresh_from_db()
        assert running.state == "pending"
