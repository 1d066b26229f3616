"""The dashboard: what is wrong comes first, numbers that lead somewhere, and no question that grows with the table."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter import minutes, wire
from taskcenter.admin.board import Board
from taskcenter.admin.history import MOST_LIVE, SPANS, History
from taskcenter.models import Duty, FailureGroup, Minute, Queue, Task
from taskcenter.models.lines import LIMIT, lines, queues_with_tasks, written
from taskcenter.models.minute import minute_of, moment_of
from taskcenter.queues import TaskQueue
from taskcenter.states import State
from tests.factories import make_staff, make_task, make_user, make_worker

pytestmark = pytest.mark.django_db

PAGE = "/admin/taskcenter/dashboard/"
LIVE = f"{PAGE}live/"
ALL = ("view_dashboard", "view_task", "retry_task", "pause_queue", "view_worker", "view_duty", "view_failuregroup")


@pytest.fixture
def boss(client: Client, redis_client: Any) -> Client:
    client.force_login(make_staff("boss", permissions=ALL))
    return client


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def alarms(client: Client) -> list[str]:
    found = re.search(r'data-region="attention"[^>]*>(.*?)<div data-region', text_of(client.get(LIVE)), re.DOTALL)
    assert found
    plain = re.sub(r"<[^>]+>", "", found[1].replace("</li>", "\n"))
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]


def ended(ago: float, state: str = State.COMPLETED, *, ran: float = 2.0, **fields: Any) -> Task:
    at = timezone.now() - timedelta(minutes=ago)
    began = at - timedelta(seconds=ran)
    return make_task(state, finished_at=at, attempted_at=began, started_at=began, **fields)


# Who may look.


def test_it_needs_its_own_permission(client: Client) -> None:
    client.force_login(make_staff("viewer", permissions=("view_task",)))
    assert client.get(PAGE).status_code == 403
    assert client.get(LIVE).status_code == 403
    assert PAGE not in text_of(client.get("/admin/"))


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    client.force_login(make_user("ann", permissions=("view_dashboard",)))
    assert client.get(LIVE).status_code == 302


def test_who_may_see_nothing_else_sees_numbers_and_no_task(client: Client, redis_client: Any) -> None:
    make_task(State.FAILED, title="Secret title", error_message="a secret")
    make_task(State.PROCESSING, title="Secret run", worker=make_worker())
    client.force_login(make_staff("board", permissions=("view_dashboard",)))
    text = text_of(client.get(PAGE))
    assert "1 task has failed in 24 h" in text
    assert "secret" not in text.lower()
    assert "/admin/taskcenter/task/" not in text
    assert "Pause…" not in text
    assert PAGE in text_of(client.get("/admin/"))


def test_it_only_answers_to_reading(boss: Client) -> None:
    assert boss.post(LIVE).status_code == 405
    assert boss.get(f"{PAGE}add/").status_code == 404


# What needs attention.


def test_nothing_wrong_says_nothing(boss: Client) -> None:
    make_worker(queues=["default", "analysis"])
    make_task(State.COMPLETED)
    assert alarms(boss) == []


def test_failures_of_the_day_and_what_they_have_in_common(boss: Client) -> None:
    FailureGroup.objects.create(fingerprint="f1", definition="shop.parse", error_type="builtins.ValueError")
    for number in range(3):
        make_task(State.FAILED, fingerprint="f1", title=f"Order {number}")
    make_task(State.FAILED, fingerprint="f2")
    old = timezone.now() - timedelta(hours=30)
    make_task(State.FAILED, fingerprint="f2", finished_at=old)
    assert alarms(boss)[1:] == ["4 tasks have failed in 24 h.", "Most often: 3 times ValueError in shop.parse."]
    text = text_of(boss.get(LIVE))
    assert "/admin/taskcenter/failuregroup/f1/change/" in text
    assert text.count("Retry…") == 4


def test_lost_tasks_late_duties_paused_queues_and_lines_without_a_worker(boss: Client) -> None:
    make_task(State.PROCESSING, worker=make_worker(silent=300), attempted_at=timezone.now() - timedelta(minutes=9))
    for _ in range(2):
        make_task(State.PENDING, queue="analysis")
    TaskQueue("default").pause("the disk is full")
    Duty.objects.create(name="dispatch", next_due=timezone.now() - timedelta(minutes=5))
    found = alarms(boss)[1:]
    assert found[0] == "No worker listens to analysis: 2 tasks wait. manage.py rqworker analysis"
    assert found[1].startswith("1 task is lost.")
    assert found[2].startswith("The scheduler is late with dispatch.")
    assert re.fullmatch(r"default is paused since \d\d:\d\d:\d\d: the disk is full\.", found[3])


def test_a_paused_line_needs_no_worker(boss: Client) -> None:
    make_task(State.PENDING)
    TaskQueue("default").pause("later")
    assert not any("No worker" in line for line in alarms(boss))


def test_tasks_on_a_queue_that_settings_forgot_are_seen(boss: Client) -> None:
    make_task(State.PENDING, queue="gone")
    assert any("No worker listens to gone" in line for line in alarms(boss))
    assert "not in settings" in text_of(boss.get(LIVE))


def test_without_redis_the_page_is_whole_and_says_since_when(boss: Client, settings: Any) -> None:
    make_task(State.PROCESSING, worker=make_worker())
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0"}}
    assert re.match(r"Queue server unreachable since \d\d:\d\d:\d\d\.", alarms(boss)[1])
    text = text_of(boss.get(PAGE))
    assert "Redis queues: unreachable" in text or "Redis queues" not in text
    assert "1 of 2" in text


def test_redis_that_answers_again_is_away_no_more(boss: Client, settings: Any) -> None:
    settings.RQ_QUEUES, kept = {"default": {"URL": "redis://127.0.0.1:1/0"}}, settings.RQ_QUEUES
    boss.get(LIVE)
    assert wire.away_since() is not None
    settings.RQ_QUEUES = kept
    assert not any("unreachable" in line for line in alarms(boss))


def test_hostile_text_is_shown_as_text(boss: Client) -> None:
    hostile = "<script>alert(1)</script>"
    make_task(State.FAILED, title=hostile, error_message=hostile)
    make_task(State.PROCESSING, title=hostile, worker=make_worker(host=hostile))
    Queue.objects.create(name="default", paused_at=timezone.now(), paused_reason=hostile)
    text = text_of(boss.get(PAGE))
    assert hostile not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text.split("<main", 1)[1])


# Numbers.


def test_an_empty_house_says_what_to_do(boss: Client) -> None:
    text = text_of(boss.get(PAGE))
    assert "No tasks yet." in text
    assert "manage.py rqworker" in text


def test_every_number_leads_to_its_list(boss: Client) -> None:
    make_task(State.PENDING, queue="analysis")
    text = text_of(boss.get(LIVE))
    for query in ("state=processing", "state=pending", "state=failed", "state=pending&amp;queue=analysis"):
        assert f'href="/admin/taskcenter/task/?{query}"' in text
    assert boss.get("/admin/taskcenter/task/?state=pending&queue=analysis").status_code == 200


@pytest.mark.parametrize("name", SPANS)
def test_counted_and_uncounted_minutes_make_one_history(name: str) -> None:
    span = SPANS[name]
    for ago in (0.2, 1.4, 9, 30, 0.4 * span.minutes):
        ended(ago)
    ended(2, State.FAILED, queue="analysis")
    minutes.roll_up()
    ended(0.1)
    ended(0.1, State.FAILED)
    history = History(span, timezone.now())
    assert history.ended(State.COMPLETED) == 6
    assert history.ended(State.FAILED) == 2
    assert history.ended(State.FAILED, "analysis") == 1
    assert history.failure_rate == 0.25
    assert sum(history.throughput().series[0].values) == 6  # type: ignore[arg-type]
    assert len(history.spark("default").values) == span.buckets
    assert history.gap is None


def test_nothing_is_told_twice_in_the_minute_that_is_being_counted() -> None:
    ended(0.01)
    minutes.roll_up()
    assert History(SPANS["1h"], timezone.now()).ended(State.COMPLETED) == 1


def test_where_nobody_counts_the_newest_minutes_are_read_and_the_gap_is_named(boss: Client) -> None:
    ended(MOST_LIVE + 20)
    ended(3)
    history = History(SPANS["1h"], timezone.now())
    assert history.ended(State.COMPLETED) == 1
    assert history.gap is not None
    assert any("nobody has counted" in line for line in alarms(boss))


def test_an_idle_house_has_no_gap() -> None:
    ended(50)
    minutes.roll_up()
    assert History(SPANS["1h"], timezone.now()).gap is None


def test_nineteen_of_twenty_ran_no_longer() -> None:
    for number in range(100):
        ended(1, ran=60.0 if number >= 90 else 1.0)
    history = History(SPANS["1h"], timezone.now())
    assert 0.7 <= history.ran(0.5) <= 1.42  # type: ignore[operator]
    assert 45 <= history.ran(0.95) <= 66  # type: ignore[operator]


def test_the_longest_line_of_a_bucket_is_drawn() -> None:
    for _ in range(4):
        make_task(State.PENDING)
    minutes.roll_up()
    Task.objects.all().delete()
    assert max(History(SPANS["24h"], timezone.now()).waiting(0).series[0].values) == 4  # type: ignore[type-var]


def test_lines_are_counted_to_a_limit() -> None:
    for _ in range(4):
        make_task(State.PENDING)
    (line,) = lines(["default"], limit=2)
    assert line.pending == 3
    assert written(line.pending, 2) == "2+"
    assert written(LIMIT) == "10,000"


def test_a_task_that_came_back_waits_since_it_came_back() -> None:
    now = timezone.now()
    make_task(State.PENDING, created_at=now - timedelta(hours=3), attempted_at=now - timedelta(minutes=1))
    assert lines(["default"])[0].waits_since == now - timedelta(minutes=1)


def test_queues_are_found_without_a_scan() -> None:
    for name in ("a", "b", "b", "c"):
        make_task(State.COMPLETED, queue=name)
    assert queues_with_tasks() == ["a", "b", "c"]


def fill(count: int) -> None:
    worker = make_worker()
    for number in range(count):
        make_task(State.PROCESSING, worker=worker)
        make_task(State.PENDING, queue=f"queue-{number}")
        make_task(State.FAILED, fingerprint=f"f{number}")
        make_worker(queues=[f"queue-{number}"])


def test_it_needs_as_many_queries_for_much_as_for_little(boss: Client) -> None:
    fill(1)
    with CaptureQueriesContext(connection) as few:
        boss.get(LIVE)
    fill(12)
    with CaptureQueriesContext(connection) as many:
        boss.get(LIVE)
    assert len(many) <= len(few) <= 36


def test_minutes_are_those_of_the_clock() -> None:
    now = timezone.now()
    assert moment_of(minute_of(now)) == now.replace(second=0, microsecond=0)


def test_a_board_of_a_stranger_names_nothing() -> None:
    make_task(State.FAILED)
    board = Board(make_user(), SPANS["1h"])
    assert board.failed == 1
    assert board.failures == []
    assert Minute.objects.count() == 0


def test_totals_say_when_they_were_not_counted_to_the_end(monkeypatch: pytest.MonkeyPatch, redis_client: Any) -> None:
    for name in ("default", "analysis"):
        for _ in range(3):
            make_task(State.PENDING, queue=name)
    boss = make_staff(is_superuser=True)
    assert Board(boss, SPANS["1h"]).tiles[1].value == "6"
    for room in ("taskcenter.admin.tiles", "taskcenter.models.lines"):
        monkeypatch.setattr(f"{room}.LIMIT", 2)
    monkeypatch.setattr("taskcenter.admin.board.lines", lambda names: lines(names, limit=2))
    assert Board(boss, SPANS["1h"]).tiles[1].value == "4+"
