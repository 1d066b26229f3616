"""A redrive: one first, then a tenth, then all, until the same error returns; and nothing twice."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from taskcenter import lifecycle, redrive
from taskcenter.definitions import find
from taskcenter.models import FailureGroup, Report, Task, TaskEvent
from taskcenter.states import LIVE, State
from taskcenter.testing import Clock, clock, run_pending
from tests.factories import make_task, make_user
from tests.integration.rivals import at_once
from tests.ledger.book import Book, book
from tests.ledger.tasks import broken
from tests.processes import Process

pytestmark = pytest.mark.django_db

NAME = "taskcenter.redrive.redrive"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("LEDGER_PATH", str(tmp_path / "ledger.sqlite3"))
    return book()


@pytest.fixture
def time(ledger: Book) -> Iterator[Clock]:
    with clock() as held:
        yield held


def failed(*calls: dict[str, Any], **options: Any) -> FailureGroup:
    """Tasks that failed alike, in that order."""
    for call in calls:
        broken.using(**options).enqueue(**call)
    run_pending(definitions=[broken])
    return FailureGroup.objects.get(definition="tests.ledger.tasks.broken")


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in range(count)]


def begin(group: FailureGroup, **options: Any) -> Task:
    started = redrive.start(group, **{"reason": "mended", **options})
    assert started.is_new, started.text
    return Task.objects.get(id=started.task_id)


def finish(task: Task, time: Clock, *, meanwhile: Callable[[], Any] = lambda: None) -> Task:
    """Run it, and what it retries, to its end."""
    for _ in range(100):
        run_pending()
        meanwhile()
        task.refresh_from_db()
        if task.is_final:
            return task
        time.advance(timedelta(seconds=61))
    pytest.fail(f"The redrive did not end: {task.state}, {task.metadata}")


def tasks() -> list[Task]:
    return list(Task.objects.filter(definition="tests.ledger.tasks.broken").order_by("id"))


def states() -> Counter[str]:
    return Counter(task.state for task in tasks())


def retries() -> list[int]:
    """How often each task was retried."""
    told = Counter(TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED).values_list("task_id", flat=True))
    return [told[task.id] for task in tasks()]


@pytest.mark.parametrize(
    ("total", "sizes"),
    [
        (0, []),
        (1, [1]),
        (2, [1, 1]),
        (11, [1, 10]),
        (25, [1, 10, 14]),
        (1001, [1, 100, 500, 400]),
        (100_001, [1, *[500] * 200]),
    ],
)
def test_one_first_then_a_tenth_then_all(total: int, sizes: list[int]) -> None:
    assert list(redrive.waves(total)) == sizes


def test_when_the_error_is_gone_all_of_them_run_again(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    boss = make_user("boss", permissions=("view_task",))
    task = finish(begin(group, actor=boss), time)
    assert task.state == "completed"
    assert task.result == {
        "stopped": False,
        "text": "25 of 25 tasks were retried: 25 completed, 0 failed otherwise. The same error did not return.",
        "tasks": 25,
        "retried": 25,
        "completed": 25,
        "failed": 0,
    }
    assert states() == {"completed": 25}
    assert retries() == [1] * 25
    assert {tuple(ledger.begun(one.id)) for one in tasks()} == {(1, 2)}
    told = TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED).values_list("text", "actor_id").distinct()
    assert list(told) == [(f"Redrive {task.id}: mended", boss.pk)]
    assert task.progress == 1.0
    report = Report.objects.get(task=task)
    assert (report.title, report.is_final, report.owner) == ("Redrive done", True, boss)


def test_each_wave_waits_for_the_one_before(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    task = begin(group)
    seen = []
    for _ in range(4):
        run_pending(definitions=[NAME])
        run_pending(definitions=[NAME])  # it looks again, and nobody has run anything
        task.refresh_from_db()
        seen.append((sum(retries()), task.progress, task.state))
        run_pending(definitions=[broken])
        time.advance(61)
    assert seen == [(1, 0.04, "scheduled"), (11, 0.44, "scheduled"), (25, 1.0, "scheduled"), (25, 1.0, "completed")]


def test_when_the_same_error_returns_with_the_first_the_others_are_as_they_were(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    before = [(one.id, one.rev) for one in tasks()]
    task = finish(begin(group), time)
    assert task.result["stopped"]
    assert task.result["text"] == (
        f"Stopped: the same error returned in task {before[0][0]}. "
        "1 of 25 tasks were retried, the others are as they were."
    )
    assert retries() == [1] + [0] * 24
    assert [(one.id, one.rev) for one in tasks()][1:] == before[1:]
    assert Report.objects.get(task=task).title == "Redrive stopped"
    group.refresh_from_db()
    assert group.count == 26


def test_when_the_same_error_returns_with_the_share_the_rest_is_as_it_was(ledger: Book, time: Clock) -> None:
    calls = numbers(40)
    calls[5]["for_good"] = True
    group = failed(*calls)
    ledger.open_gate(0)
    task = finish(begin(group), time)
    assert task.result["stopped"]
    assert (task.result["retried"], task.result["completed"], task.result["failed"]) == (11, 10, 1)
    assert retries() == [1] * 11 + [0] * 29


def test_it_stops_as_soon_as_one_has_failed_so_though_others_still_run(ledger: Book, time: Clock) -> None:
    calls = numbers(40)
    calls[1]["for_good"] = True
    group = failed(*calls)
    ledger.open_gate(0)
    task = begin(group)
    run_pending(limit=2)
    time.advance(61)
    ran = run_pending(limit=2)
    assert [one.task.definition for one in ran] == [NAME, "tests.ledger.tasks.broken"]
    time.advance(61)
    run_pending(limit=1)
    task.refresh_from_db()
    assert task.result["stopped"]
    assert states()["pending"] == 9


def test_when_another_error_comes_instead_it_stops_too(ledger: Book, time: Clock) -> None:
    group = failed(*[{"number": number, "then": "worse"} for number in range(25)])
    ledger.open_gate(0)
    task = finish(begin(group), time)
    assert task.result["stopped"]
    assert f"another error came instead, in task {tasks()[0].id}" in task.result["text"]
    assert retries() == [1] + [0] * 24
    assert set(FailureGroup.objects.values_list("error_type", "count")) == {
        ("builtins.LookupError", 25),
        ("builtins.ArithmeticError", 1),
    }


def test_one_that_fails_otherwise_among_good_ones_stops_nothing(ledger: Book, time: Clock) -> None:
    calls = numbers(25)
    calls[7]["then"] = "worse"
    group = failed(*calls)
    ledger.open_gate(0)
    task = finish(begin(group), time)
    assert not task.result["stopped"]
    assert (task.result["completed"], task.result["failed"]) == (24, 1)


def test_a_task_that_tries_again_by_itself_is_waited_for(ledger: Book, time: Clock) -> None:
    """Its first try fails so, and is not the end."""
    group = failed(*numbers(3))
    Task.objects.update(max_attempts=2)
    task = begin(group)
    run_pending()
    assert states()["scheduled"] == 1
    ledger.open_gate(0)
    assert not finish(task, time).result["stopped"]
    assert states() == {"completed": 3}


# Others meanwhile.


def test_who_was_retried_by_somebody_else_is_left_alone(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    task = begin(group)
    theirs = tasks()[3]
    lifecycle.retry(theirs.id, reason="by hand")
    task = finish(task, time)
    assert retries() == [1] * 25
    assert TaskEvent.objects.get(task=theirs, kind=TaskEvent.Kind.RETRIED).text == "by hand"
    assert task.result["retried"] == 24


def test_who_is_moved_after_the_wave_was_written_down_is_left_alone(
    ledger: Book, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its `rev`: retried by hand, failed again, and so failed as it was."""
    group = failed(*numbers(1))
    chosen = redrive._Run.wave

    def and_then_somebody_comes(run: Any) -> Any:
        is_first = not TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED).exists()
        wave = chosen(run)
        if is_first:
            lifecycle.retry(tasks()[0].id, reason="by hand")
            [theirs] = lifecycle.claim(["default"], ["tests.ledger.tasks.broken"], uuid.uuid4())
            failure = lifecycle.Failure(group.error_type, group.message, place=group.place)
            lifecycle.fail(theirs, failure, delay=None)
        return wave

    monkeypatch.setattr(redrive._Run, "wave", and_then_somebody_comes)
    task = finish(begin(group), time)
    assert tasks()[0].fingerprint == group.fingerprint
    assert retries() == [1], "by hand only"
    assert task.result["stopped"], "and that the error is still there was seen all the same"


def test_a_retry_at_a_rev_is_refused_once_the_row_has_moved() -> None:
    task = make_task(State.FAILED, rev=7)
    assert not lifecycle.retry(task.id, rev=6).moved
    assert not TaskEvent.objects.exists()
    assert lifecycle.retry(task.id, rev=7).moved
    assert not lifecycle.retry(task.id, rev=7).moved


def test_one_whose_unique_key_is_held_by_another_is_left_failed(ledger: Book, time: Clock) -> None:
    group = failed({"number": 0}, unique_key="sales")
    group = failed(*numbers(3))
    make_task(unique_key=tasks()[0].unique_key, definition="tests.tasks.held")
    ledger.open_gate(0)
    task = finish(begin(group), time)
    assert (task.result["retried"], task.result["completed"]) == (3, 3)
    assert states() == {"failed": 1, "completed": 3}


def test_a_wave_that_proves_nothing_is_followed_by_one_no_larger(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    task = begin(group)
    run_pending(definitions=[NAME])
    assert retries()[:2] == [1, 0]
    lifecycle.request_cancel(tasks()[0].id)
    time.advance(61)
    run_pending(definitions=[NAME])
    assert retries()[:3] == [1, 1, 0]
    ledger.open_gate(0)
    assert not finish(task, time).result["stopped"]


def test_tasks_that_failed_after_it_was_asked_for_are_not_touched(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(3))
    task = begin(group)
    time.advance(1)
    failed(*numbers(2))
    ledger.open_gate(0)
    finish(task, time)
    assert states() == {"completed": 3, "failed": 2}


def test_the_group_of_unknown_definitions_where_no_claim_comes_between(time: Clock) -> None:
    def fail_all() -> None:
        since = timezone.now() - timedelta(seconds=30)
        lifecycle.fail_unknown("shop.tasks.gone", ["default"], since)

    for _ in range(3):
        make_task(definition="shop.tasks.gone", created_at=timezone.now() - timedelta(hours=1))
    fail_all()
    task = finish(begin(FailureGroup.objects.get()), time, meanwhile=fail_all)
    assert task.result["stopped"]
    assert TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED).count() == 1


# Asked twice, stopped, dead.


def test_asked_twice_there_is_one_and_the_second_is_told(ledger: Book) -> None:
    group = failed(*numbers(3))
    first, second = (redrive.start(group, reason="mended") for _ in range(2))
    assert (first.is_new, second.is_new) == (True, False)
    assert first.task_id == second.task_id
    assert second.text == "A redrive of this group is under way."


@pytest.mark.django_db(transaction=True)
def test_asked_by_eight_at_once_there_is_one(ledger: Book) -> None:
    group = failed(*numbers(3))
    started = at_once(8, lambda _: redrive.start(group, reason="mended"))
    assert sum(one.is_new for one in started) == 1
    assert len({one.task_id for one in started}) == 1
    assert Task.objects.filter(definition=NAME).count() == 1


def test_when_one_is_over_there_may_be_another(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(12))
    assert finish(begin(group), time).result["stopped"]
    ledger.open_gate(0)
    assert finish(begin(group), time).result["completed"] == 12
    assert retries() == [2] + [1] * 11


def test_without_a_failed_task_there_is_nothing_to_begin(ledger: Book) -> None:
    group = failed(*numbers(1))
    lifecycle.retry(tasks()[0].id)
    started = redrive.start(group, reason="mended")
    assert started == redrive.Started(
        None, is_new=False, text="None of its tasks is failed now: there is nothing to redrive."
    )


def test_cancelled_while_it_waits_it_retries_no_more(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    task = begin(group)
    run_pending()
    assert lifecycle.request_cancel(task.id).moved
    assert finish(task, time).state == "cancelled"
    assert sum(retries()) == 1


def test_cancelled_amid_a_wave_it_ends_there(ledger: Book, time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    task = begin(group)
    real = lifecycle.retry

    def and_cancel(*args: Any, **options: Any) -> Any:
        if sum(retries()) == 5:
            lifecycle.request_cancel(task.id)
        return real(*args, **options)

    monkeypatch.setattr(lifecycle, "retry", and_cancel)
    assert finish(task, time).state == "cancelled"
    assert sum(retries()) == 6


def test_an_attempt_that_has_a_successor_retries_no_more(
    ledger: Book, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    task = begin(group)
    real = lifecycle.retry

    def and_sleep(*args: Any, **options: Any) -> Any:
        outcome = real(*args, **options)
        if sum(retries()) == 5:
            Task.objects.filter(id=task.id).update(attempt=7)
        return outcome

    monkeypatch.setattr(lifecycle, "retry", and_sleep)
    run_pending()
    time.advance(61)
    run_pending(definitions=[NAME])
    assert sum(retries()) == 5


@pytest.mark.parametrize("deaths", [1, 3])
def test_dead_amid_a_wave_it_goes_on_and_retries_none_twice(
    ledger: Book, time: Clock, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    real, left = lifecycle.retry, [deaths]

    def and_die(*args: Any, **options: Any) -> Any:
        outcome = real(*args, **options)
        if left[0] and sum(retries()) % 4 == 3:
            left[0] -= 1
            raise SystemExit
        return outcome

    monkeypatch.setattr(lifecycle, "retry", and_die)
    task = finish(begin(group), time)
    assert (left, task.failures) == ([0], deaths)
    assert retries() == [1] * 25
    assert (task.result["retried"], task.result["completed"]) == (25, 25)


def test_dead_between_the_last_retry_and_what_it_remembers_of_it(
    ledger: Book, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = failed(*numbers(25))
    ledger.open_gate(0)
    real, left = redrive._Run.advance, [1]

    def die_first(*args: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise SystemExit
        real(*args)

    monkeypatch.setattr(redrive._Run, "advance", die_first)
    task = finish(begin(group), time)
    assert left == [0]
    assert retries() == [1] * 25
    assert (task.result["retried"], task.result["completed"]) == (25, 25)


# For whom, and where.


def test_it_works_on_what_its_actor_may_see(ledger: Book, time: Clock) -> None:
    owner = make_user()
    failed(*numbers(3), owner=owner)
    group = failed(*numbers(2))
    ledger.open_gate(0)
    task = finish(begin(group, actor=owner), time)
    assert task.result["tasks"] == 3
    assert states() == {"completed": 3, "failed": 2}


def test_when_its_actor_is_gone_it_works_on_nothing(ledger: Book, time: Clock) -> None:
    group = failed(*numbers(3))
    boss = make_user(permissions=("view_task",))
    task = begin(group, actor=boss)
    boss.delete()
    assert finish(task, time).result["tasks"] == 0
    assert sum(retries()) == 0


def test_it_waits_in_the_line_of_its_tasks_at_the_front(ledger: Book, redis_client: Any) -> None:
    group = failed(*numbers(1), queue_name="analysis")
    task = begin(group)
    assert (task.queue, task.priority) == ("analysis", 100)


def test_a_queue_that_settings_name_no_more_is_not_taken(ledger: Book) -> None:
    group = failed(*numbers(1))
    Task.objects.update(queue="of yesterday")
    assert begin(group).queue in {"default", "analysis"}


def test_every_worker_knows_it() -> None:
    assert find(NAME) is redrive.definition()


START = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "taskcenter", "django_rq"], %s)
django.setup()
from taskcenter.definitions import find, known_names
print([(name, find(name).queue_name) for name in known_names()])
"""
OURS = '"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"'
LOW = 'RQ_QUEUES={"low": {"URL": "redis://127.0.0.1:1/0"}}'


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("", []),
        ('TASKS={"default": {"BACKEND": "django.tasks.backends.dummy.NoSuchBackend"}}', []),
        (f'TASKS={{{OURS}, "QUEUES": ["elsewhere"]}}}}, {LOW}', []),
        (f"TASKS={{{OURS}}}}}, {LOW}", [(NAME, "low"), ("taskcenter.tasks.operate", "low")]),
    ],
    ids=["no tasks", "not ours", "queues that do not fit", "no queue of the name default"],
)
def test_an_app_starts_with_whatever_settings_and_knows_redrives_where_it_can(given: str, known: list[Any]) -> None:
    """What is wrong with the others is for the system checks to say."""
    assert subprocess.check_output([sys.executable, "-c", START % given], text=True).strip() == str(known)


# With a real worker.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mended", [True, False], ids=["the error is gone", "the error returns"])
def test_a_worker_runs_it_to_its_end(ledger: Book, process: Callable[..., Process], mended: bool) -> None:
    ids = [broken.enqueue(number=number).id for number in range(30)]
    worker = process("rqworker", "--concurrency", "2")
    worker.wait_until(lambda: states() == {"failed": 30}, "all have failed", 60)
    group = FailureGroup.objects.get()
    assert group.count == 30
    if mended:
        ledger.open_gate(0)
    task = begin(group)
    worker.wait_until(lambda: not Task.objects.filter(id=task.id, state__in=LIVE).exists(), "it has ended", 60)
    task.refresh_from_db()
    assert task.result["stopped"] is not mended
    assert states() == ({"completed": 30} if mended else {"failed": 30})
    assert retries() == ([1] * 30 if mended else [1] + [0] * 29)
    # By the batch: one that was claimed with others and handed back begins as a later attempt.
    assert [len(ledger.begun(one)) for one in ids] == ([2] * 30 if mended else [2] + [1] * 29)
