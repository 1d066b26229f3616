"""Progress without servers: throttling, fractions that make no sense, pace, frames."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from taskcenter import progress
from taskcenter.exceptions import Cancelled
from taskcenter.models import Task
from taskcenter.progress import Stored, TaskProgress, Viewer, frame, live, store
from taskcenter.progress.pace import Pace
from taskcenter.states import State
from tests.factories import make_task, make_user
from tests.live import until


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[Stored]:
    """What would have gone to Redis."""
    # A window longer than any test: whatever comes through is not there by luck.
    settings.TASKCENTER = {"PROGRESS_PER_SECOND": 0.01}
    sent: list[Stored] = []

    def remember(_: Any, stored: Stored) -> int:
        sent.append(stored)
        return stored.seq

    monkeypatch.setattr(store, "publish", remember)
    monkeypatch.setattr(live.TaskProgress, "_save", lambda _: None)
    return sent


def fractions(told: list[Stored]) -> list[float | None]:
    return [one.progress for one in told]


def a_task(state: str = State.PROCESSING, **fields: Any) -> Task:
    values = {"id": uuid4(), "definition": "shop.tasks.count", "attempt": 1, "attempted_at": timezone.now()}
    return Task(**{**values, "state": state, **fields})


def test_of_a_burst_only_the_first_and_the_last_are_told(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    for step in range(1001):
        meter.set(step / 1000)
    assert fractions(told) == [0.0, 1.0]


def test_a_new_stage_is_told_at_once_and_clears_message_and_count(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.1, "reading", done=1, total=10, unit="rows")
    meter.stage("write")
    details = told[-1].details()
    assert (len(told), details["stage"], details["message"], details["done"]) == (2, "write", "", None)


def test_what_was_held_back_is_told_when_the_task_then_keeps_silent(told: list[Stored], settings: Any) -> None:
    settings.TASKCENTER = {"PROGRESS_PER_SECOND": 20}
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.1)
    meter.set(0.5, "the long part")
    until(lambda: fractions(told) == [0.1, 0.5])


def test_flush_tells_what_was_held_back(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.1)
    meter.set(0.5)
    meter.flush()
    meter.flush()
    assert fractions(told) == [0.1, 0.5]


def test_a_flush_leaves_no_thread_behind(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.1)
    before = set(threading.enumerate())
    meter.set(0.5)
    assert len(set(threading.enumerate()) - before) == 1
    meter.flush()
    until(lambda: not set(threading.enumerate()) - before)


def test_the_bar_never_goes_back_unless_told_to_begin_again(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.6)
    meter.stage("check", 0.2)
    meter.set(0.3, restart=True)
    assert fractions(told) == [0.6, 0.6, 0.3]


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), "0.5", True, [], Decimal("0.5")])
def test_what_is_no_number_is_ignored_with_one_line_in_the_log(
    told: list[Stored], caplog: pytest.LogCaptureFixture, nonsense: Any
) -> None:
    meter = TaskProgress(uuid4(), 1)
    with caplog.at_level(logging.WARNING, "taskcenter"):
        meter.set(0.4)
        meter.set(nonsense)
        meter.set(nonsense)
        meter.flush()
    assert fractions(told) == [0.4, 0.4]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("given", "kept"), [(-0.5, 0.0), (7, 1.0), (1, 1.0), (0, 0.0), (Fraction(1, 4), 0.25)])
def test_numbers_are_brought_between_zero_and_one(told: list[Stored], given: Any, kept: float) -> None:
    TaskProgress(uuid4(), 1).set(given)
    assert fractions(told) == [kept]


def test_only_what_check_raises_comes_out(
    told: list[Stored], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no way")

    monkeypatch.setattr(store, "publish", refuse)
    TaskProgress(uuid4(), 1).set(0.5)
    assert "could not be told" in caplog.text

    def cancelled() -> None:
        raise Cancelled

    meter = TaskProgress(uuid4(), 1, check=cancelled)
    for call in (lambda: meter.set(0.5), lambda: meter.stage("x"), lambda: list(meter.track([1]))):
        with pytest.raises(Cancelled):
            call()
    meter.flush()


def test_track_yields_every_item_and_counts_up_to_its_share(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    meter.set(0.2)
    assert list(meter.track("abcd", "reading", unit="letters", end=0.6)) == list("abcd")
    last = told[-1].details()
    assert told[-1].progress == pytest.approx(0.6)
    assert (last["done"], last["total"], last["unit"], last["message"]) == (4, 4, "letters", "reading")


def test_track_without_a_length_only_counts(told: list[Stored]) -> None:
    meter = TaskProgress(uuid4(), 1)
    assert sum(meter.track(iter([1, 2, 3]))) == 6
    assert (told[-1].progress, told[-1].details()["done"]) == (None, 3)


def test_track_over_more_than_was_promised_stays_at_its_end(told: list[Stored]) -> None:
    list(TaskProgress(uuid4(), 1).track(iter(range(10)), total=2))
    assert max(one.progress or 0 for one in told) == 1.0


def test_extra_values_that_are_not_json_are_dropped_and_the_rest_is_told(
    told: list[Stored], caplog: pytest.LogCaptureFixture
) -> None:
    TaskProgress(uuid4(), 1).set(0.5, "reading", thing=object())
    assert told[-1].metadata["message"] == "reading"
    assert "thing" not in told[-1].metadata
    assert "dropped" in caplog.text


def test_there_is_no_guess_before_five_percent_and_five_seconds() -> None:
    pace = Pace()
    pace.note(0, 0.0, 0)
    pace.note(4, 0.4, 400)
    assert (pace.eta(), pace.rate()) == (None, None)
    pace.note(8, 0.8, 800)
    assert (pace.eta(), pace.rate()) == (2.0, 100.0)
    slow = Pace()
    slow.note(0, 0.0, 0)
    slow.note(60, 0.04, 40)
    assert slow.eta() is None


def test_the_guess_follows_the_last_half_minute() -> None:
    pace = Pace()
    for second in range(100):
        pace.note(second, second * 0.001, None)
    for second in range(100, 140):
        pace.note(second, 0.1 + (second - 100) * 0.01, None)
    assert pace.eta() == pytest.approx((1 - 0.49) / 0.01, rel=0.05)


def test_what_does_not_move_has_no_end() -> None:
    pace = Pace()
    pace.note(0, 0.5, None)
    pace.note(20, 0.5, None)
    assert pace.eta() is None


def test_a_frame_takes_the_newer_of_row_and_redis() -> None:
    kept = Stored(attempt=1, seq=4, progress=0.4, metadata={"message": "row"})
    task = a_task(progress=0.4, progress_state=kept.for_row())
    newer = Stored(attempt=1, seq=9, progress=0.9, metadata={"message": "redis"})
    older = Stored(attempt=1, seq=2, progress=0.2, metadata={"message": "redis"})
    assert (frame(task, newer)["message"], frame(task, newer)["seq"]) == ("redis", 9)
    assert (frame(task, older)["message"], frame(task, older)["progress"]) == ("row", 0.4)


def test_a_frame_shows_nothing_of_an_earlier_attempt() -> None:
    task = a_task(attempt=2)
    shown = frame(task, Stored(attempt=1, seq=9, progress=0.9, metadata={"message": "old"}))
    assert (shown["attempt"], shown["seq"], shown["progress"], shown["message"]) == (2, 0, None, "")


def test_frames_of_finished_tasks_are_full_and_promise_no_time() -> None:
    told = Stored(attempt=1, seq=9, progress=0.7, metadata={"eta_s": 12.0, "rate": 3.0})
    done = frame(a_task(State.COMPLETED, finished_at=timezone.now()), told)
    assert (done["progress"], done["eta_s"], done["rate"], done["final"]) == (1.0, None, None, True)
    failed = frame(a_task(State.FAILED, finished_at=timezone.now(), error_type="E", error_message="x" * 999), told)
    assert failed["progress"] == 0.7
    assert failed["error"]["type"] == "E"
    assert len(failed["error"]["message"]) == 200


def test_texts_of_a_frame_are_cut_and_numbers_are_numbers() -> None:
    metadata = {"message": "x" * 999, "stage": None, "done": float("nan"), "total": "many", "unit": 7}
    shown = frame(a_task(), Stored(attempt=1, seq=1, progress=0.1, metadata=metadata))
    assert len(shown["message"]) == 200
    assert (shown["stage"], shown["done"], shown["total"], shown["unit"]) == ("", None, None, "7")


def test_shown_says_lost_when_no_worker_is_behind_it() -> None:
    shown = frame(a_task(), worker_alive=False)
    assert (shown["state"], shown["shown"], shown["worker_alive"]) == ("processing", "lost", False)


def test_only_the_owner_and_who_holds_the_permission_may_act() -> None:
    running = a_task(owner_id=7)
    failed = a_task(State.FAILED, finished_at=timezone.now(), owner_id=7)
    owner, other, admin = Viewer(pk=7), Viewer(pk=8), Viewer(pk=9, cancels_any=True, retries_any=True)
    assert [one.actions(running) for one in (owner, other, admin)] == [("cancel",), (), ("cancel",)]
    assert [one.actions(failed) for one in (owner, other, admin)] == [("retry",), (), ("retry",)]
    assert Viewer().actions(a_task()) == ()
    asked = a_task(owner_id=7, cancel_requested_at=timezone.now())
    assert owner.actions(asked) == ()


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["owner", "stranger", "operator", "superuser", "inactive owner", "nobody"])
def test_the_usual_rule_says_the_same_without_a_query(who: str, settings: Any) -> None:
    owner = make_user(is_active=who != "inactive owner")
    others = {
        "stranger": make_user(),
        "operator": make_user(permissions=("view_task",)),
        "superuser": make_user(is_superuser=True),
        "nobody": AnonymousUser(),
    }
    user = others.get(who, owner)
    for task in (make_task(owner=owner), make_task()):
        assert Viewer.of(user).sees(task) == progress.visible(user).filter(id=task.id).exists()
    settings.TASKCENTER = {"VISIBLE": "somewhere.rule"}
    assert Viewer.of(user).sees(task) is None


def test_the_rule_of_visibility_may_be_any_function(settings: Any) -> None:
    settings.TASKCENTER = {"VISIBLE": f"{__name__}.nothing_but_pending"}
    assert "pending" in str(progress.visible(AnonymousUser()).query)


def nothing_but_pending(_: Any, queryset: Any) -> Any:
    return queryset.filter(state="pending")
