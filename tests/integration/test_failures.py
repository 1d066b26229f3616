"""Failures that are the same are counted in one group, whoever saw them, and never more than once."""

from __future__ import annotations

import io
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.models import FailureGroup, Task, TaskEvent
from taskcenter.models.failure import count_open
from taskcenter.scheduler import clean_up
from taskcenter.states import State
from taskcenter.testing import run_pending
from tests.factories import make_task, make_worker
from tests.integration.rivals import at_once, overtaken
from tests.ledger.tasks import boom, flaky

pytestmark = pytest.mark.django_db

DEFINITION = "tests.tasks.sample"
WEEK = timedelta(days=7)


def failure(message: str = "no row 5") -> lifecycle.Failure:
    return lifecycle.Failure("builtins.LookupError", message, "Traceback ...", place="shop.tasks.sell")


CRASH = lifecycle.Failure("", "Its process died: signal SIGKILL.", kind=TaskEvent.Kind.CRASHED)


def running(**fields: Any) -> Task:
    return make_task(State.PROCESSING, worker=make_worker(), **fields)


def lost(**fields: Any) -> Task:
    then = timezone.now() - timedelta(hours=1)
    return make_task(State.PROCESSING, worker=make_worker(silent=3600), attempted_at=then, **fields)


def fresh(task: Task) -> Task:
    return Task.objects.get(id=task.id)


def counts() -> dict[str, int]:
    return dict(FailureGroup.objects.values_list("message", "count"))


def test_a_failure_is_found_by_its_fingerprint_on_the_row_in_the_history_and_in_its_group() -> None:
    task = running()
    lifecycle.fail(task, failure(), delay=None)
    [group] = FailureGroup.objects.all()
    assert fresh(task).fingerprint == group.fingerprint
    told = task.events.get(kind=TaskEvent.Kind.FAILED).data
    assert (told["fingerprint"], told["place"]) == (group.fingerprint, "shop.tasks.sell")
    assert (group.definition, group.error_type, group.place) == (DEFINITION, "builtins.LookupError", "shop.tasks.sell")
    assert (group.message, group.task_id, group.count) == ("no row 5", task.id, 1)
    assert group.first_seen == group.last_seen


def test_the_next_one_that_is_the_same_is_counted_and_is_the_new_sample() -> None:
    first, second = running(), running()
    lifecycle.fail(first, failure("no row 5"), delay=None)
    begun = FailureGroup.objects.get()
    lifecycle.fail(second, failure("no row 77"), delay=None)
    [group] = FailureGroup.objects.all()
    assert (group.count, group.message, group.task_id) == (2, "no row 77", second.id)
    assert group.first_seen == begun.first_seen < group.last_seen
    assert [one.open_tasks for one in count_open([group])] == [2]


@pytest.mark.parametrize(
    "other",
    [
        lifecycle.Failure("builtins.KeyError", "no row 5", place="shop.tasks.sell"),
        lifecycle.Failure("builtins.LookupError", "no column 5", place="shop.tasks.sell"),
        lifecycle.Failure("builtins.LookupError", "no row 5", place="shop.tasks.buy"),
    ],
    ids=["type", "message", "place"],
)
def test_another_type_message_or_place_is_another_group(other: lifecycle.Failure) -> None:
    lifecycle.fail(running(), failure(), delay=None)
    lifecycle.fail(running(), other, delay=None)
    assert FailureGroup.objects.filter(count=1).count() == 2


def test_a_clock_that_goes_back_does_not_take_the_last_time_back() -> None:
    ahead = timezone.now() + timedelta(hours=1)
    lifecycle.fail(running(), failure(), delay=None)
    FailureGroup.objects.update(last_seen=ahead)
    lifecycle.fail(running(), failure(), delay=None)
    assert FailureGroup.objects.get().last_seen == ahead


def test_every_way_to_fail_counts_once() -> None:
    lifecycle.fail(running(max_attempts=3), failure("a retry is planned"), delay=5)
    lifecycle.fail(running(cancel_requested_at=timezone.now()), failure("cancelled meanwhile"), delay=None)
    for task in (running(max_crashes=3), running(max_crashes=1)):
        lifecycle.crash(task.id, task.attempt, CRASH)
    one = lost()
    lifecycle.recover(one.id, one.attempt)
    assert counts() == {
        "a retry is planned": 1,
        "cancelled meanwhile": 1,
        "Its process died: signal SIGKILL.": 2,
        "Its worker stopped answering.": 1,
    }


def test_one_that_waits_for_its_next_try_has_the_fingerprint_and_loses_it_by_completing() -> None:
    task = running(max_attempts=3)
    lifecycle.fail(task, failure(), delay=5)
    assert fresh(task).fingerprint == FailureGroup.objects.get().fingerprint
    Task.objects.filter(id=task.id).update(state=State.PENDING, run_after=None)
    [again] = lifecycle.claim(["default"], [DEFINITION], uuid.uuid4())
    assert lifecycle.complete(again, 1).moved
    assert fresh(task).fingerprint == ""
    assert FailureGroup.objects.get().count == 1
    assert [one.open_tasks for one in count_open(FailureGroup.objects.all())] == [0]


def test_a_late_failure_and_those_that_nobody_is_to_blame_for_are_not_counted() -> None:
    stale = running()
    Task.objects.filter(id=stale.id).update(attempt=2)
    assert not lifecycle.fail(stale, failure(), delay=None).moved
    assert not lifecycle.crash(stale.id, 1, CRASH).moved
    lifecycle.snooze(running(), 5)
    together = lost()
    make_task(State.PROCESSING, worker_id=together.worker_id, attempted_at=together.attempted_at)
    lifecycle.recover(together.id, together.attempt)
    assert not FailureGroup.objects.exists()


def test_tasks_of_a_definition_that_nobody_knows_are_one_group_for_each_queue() -> None:
    ago = timezone.now() - timedelta(hours=2)
    tasks = [make_task(definition="shop.tasks.gone", queue=queue, created_at=ago) for queue in ("a", "b", "a")]
    assert lifecycle.fail_unknown("shop.tasks.gone", ["a", "b"], timezone.now() - timedelta(hours=1)) == 3
    groups = {fresh(task).fingerprint for task in tasks}
    assert set(FailureGroup.objects.values_list("fingerprint", "count")) == {
        (fresh(tasks[0]).fingerprint, 2),
        (fresh(tasks[1]).fingerprint, 1),
    }
    assert len(groups) == 2


def test_what_is_rolled_back_was_not_counted() -> None:
    task = running()
    with transaction.atomic():
        assert lifecycle.fail(task, failure(), delay=None).moved
        transaction.set_rollback(True)
    assert fresh(task).state == "processing"
    assert not FailureGroup.objects.exists()


@pytest.mark.parametrize("end", ["fail", "crash", "recover"])
def test_the_count_is_one_statement_and_the_last_since_everybody_waits_for_that_row(end: str) -> None:
    def once() -> list[str]:
        task = lost()
        with CaptureQueriesContext(connection) as queries:
            if end == "fail":
                lifecycle.fail(task, failure(), delay=None)
            elif end == "crash":
                lifecycle.crash(task.id, task.attempt, CRASH)
            else:
                lifecycle.recover(task.id, task.attempt)
        return [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]

    once()
    said = once()
    assert [number for number, sql in enumerate(said) if "taskcenter_failuregroup" in sql] == [len(said) - 1]


def test_a_message_as_long_as_you_like_is_cut() -> None:
    lifecycle.fail(running(), failure("x" * 100_000), delay=None)
    assert len(FailureGroup.objects.get().message) == 2000


def test_a_real_task_s_place_is_its_own_code() -> None:
    boom.enqueue(message="order 1 is gone")
    boom.enqueue(message="order 22 is gone")
    flaky.enqueue()
    run_pending(definitions=[boom, flaky])
    found = set(FailureGroup.objects.values_list("place", "error_type", "count"))
    assert found == {
        ("tests.ledger.tasks.boom", "builtins.ValueError", 2),
        ("tests.ledger.tasks.flaky", "builtins.ConnectionError", 1),
    }


# Many at once.


@pytest.mark.django_db(transaction=True)
def test_many_that_fail_alike_at_once_are_all_counted() -> None:
    tasks = [running() for _ in range(8)]
    at_once(8, lambda number: lifecycle.fail(tasks[number], failure(f"no row {number}"), delay=None))
    assert FailureGroup.objects.get().count == 8


@pytest.mark.django_db(transaction=True)
def test_of_two_that_are_the_first_the_later_waits_and_counts_on() -> None:
    one, two = running(), running()
    overtaken(
        lambda: lifecycle.fail(one, failure(), delay=None),
        lambda: lifecycle.fail(two, failure(), delay=None),
    )
    assert FailureGroup.objects.get().count == 2


@pytest.mark.django_db(transaction=True)
def test_sweeps_that_count_several_groups_at_once_do_not_wait_for_each_other_for_ever() -> None:
    ago = timezone.now() - timedelta(hours=2)
    colours = ["red", "green", "blue", "black", "white", "brown", "pink", "grey"]
    for order in (colours, colours[::-1]) * 3:
        for colour in order:
            make_task(definition="shop.tasks.gone", queue=colour, created_at=ago)
    since = timezone.now() - timedelta(hours=1)
    done = at_once(6, lambda _: lifecycle.fail_unknown("shop.tasks.gone", colours, since, limit=len(colours)))
    done.append(lifecycle.fail_unknown("shop.tasks.gone", colours, since))
    assert sum(done) == 6 * len(colours)
    assert set(FailureGroup.objects.values_list("count", flat=True)) == {6}


# The index.


@pytest.mark.django_db(transaction=True)
def test_only_failing_writes_the_index_of_failed_tasks() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not tell the size of an index")

    def pages() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_relation_size('taskcenter_task_failed') / 8192")
            return int(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("REINDEX INDEX taskcenter_task_failed")
    assert pages() == 1, "an index without entries is one page"
    ids = [make_task().id for _ in range(20)]
    claimed = lifecycle.claim(["default"], [DEFINITION], uuid.uuid4(), limit=20)
    last = claimed.pop()
    for task in claimed:
        lifecycle.complete(task, 1)
    assert Task.objects.filter(id__in=ids, state="completed").count() == 19
    assert pages() == 1
    lifecycle.fail(last, failure(), delay=None)
    assert pages() == 2


def test_the_failed_tasks_of_a_group_are_found_by_their_index() -> None:
    query = Task.objects.failed_like("ab" * 16).order_by("id").values_list("id")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    assert "taskcenter_task_failed" in query.explain()


# The clean-up.


def old_group(message: str, **task: Any) -> FailureGroup:
    row = running(**task)
    lifecycle.fail(row, failure(message), delay=None)
    FailureGroup.objects.filter(message=message).update(last_seen=timezone.now() - 2 * WEEK)
    return FailureGroup.objects.get(message=message)


def test_a_group_is_forgotten_when_it_is_old_and_none_of_its_tasks_is_failed(settings: Any) -> None:
    settings.TASKCENTER = {"TASK_RETENTION": WEEK}
    old_group("with a task that has failed")
    over = old_group("over")
    Task.objects.filter(fingerprint=over.fingerprint).delete()
    lifecycle.fail(running(), failure("of today"), delay=None)
    assert "1 failure groups" in clean_up()
    assert set(counts()) == {"with a task that has failed", "of today"}


def test_without_a_retention_no_group_is_forgotten(settings: Any) -> None:
    settings.TASKCENTER = {"TASK_RETENTION": None}
    old_group("over")
    Task.objects.all().delete()
    clean_up()
    assert FailureGroup.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_group_that_is_counted_while_it_is_forgotten_stays() -> None:
    group = old_group("no row 1")
    Task.objects.all().delete()
    task = running()
    overtaken(
        lambda: lifecycle.fail(task, failure("no row 2"), delay=None),
        lambda: FailureGroup.objects.forget(timezone.now() - WEEK),
    )
    assert FailureGroup.objects.get(fingerprint=group.fingerprint).count == 2


# The command.


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("failures", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def group() -> FailureGroup:
    """Thirty tasks that failed alike."""
    for number in range(30):
        boom.enqueue(message=f"no row {number}")
    run_pending(definitions=[boom])
    return FailureGroup.objects.get()


def test_the_command_lists_groups_the_last_seen_first(group: FailureGroup) -> None:
    lifecycle.fail(running(), failure("another"), delay=None)
    lines = said().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("LookupError: another")
    assert lines[1].startswith(f"{group.short}  30 x, 30 failed now  ")
    assert said("list", "--limit", "1").splitlines() == lines[:1]
    told = json.loads(said("--format", "json"))["groups"]
    assert [(one["count"], one["failed_now"], one["definition"]) for one in told] == [
        (1, 1, DEFINITION),
        (30, 30, "tests.ledger.tasks.boom"),
    ]


def test_the_command_shows_a_group_and_its_failed_tasks(group: FailureGroup) -> None:
    text = said("show", group.fingerprint[:6].upper())
    assert "place: tests.ledger.tasks.boom" in text
    assert "and 10 more" in text
    told = json.loads(said("show", group.fingerprint, "--format", "json"))
    assert told["fingerprint"] == group.fingerprint
    assert len(told["tasks"]) == 20


def test_a_dry_run_says_the_waves_and_writes_nothing(group: FailureGroup) -> None:
    assert "Would retry 30 tasks" in said("redrive", group.short, "--dry-run")
    told = json.loads(said("redrive", group.short, "--dry-run", "--format", "json"))
    assert (told["tasks"], told["waves"]) == (30, [1, 10, 19])
    assert Task.objects.filter(state="failed").count() == Task.objects.count() == 30


def test_the_command_starts_a_redrive_once(group: FailureGroup) -> None:
    first = json.loads(said("redrive", group.short, "--reason", "mended", "--format", "json"))
    second = json.loads(said("redrive", group.short, "--reason", "mended", "--format", "json"))
    assert first["new"]
    assert not second["new"]
    assert first["task"] == second["task"]
    assert Task.objects.get(id=first["task"]).kwargs["reason"] == "mended"


def test_nothing_to_redrive_is_said(group: FailureGroup) -> None:
    Task.objects.all().delete()
    wanted = "None of its tasks is failed now: there is nothing to redrive.\n"
    assert said("redrive", group.short, "--reason", "x") == wanted
    assert said("redrive", group.short, "--dry-run") == wanted
    assert not Task.objects.exists()


def test_without_any_failure_the_command_says_so() -> None:
    assert said() == "No task has failed yet.\n"
    assert json.loads(said("list", "--format", "json")) == {"groups": []}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "zz"), "No failure has a fingerprint that begins with 'zz'"),
        (("show", ""), "Give the start of a fingerprint"),
        (("show",), "the following arguments are required: fingerprint"),
        (("show", "%"), "No failure has a fingerprint that begins with '%'"),
        (("redrive", "ab", "--dry-run"), "More than one fingerprint begins with 'ab'"),
        (("redrive", "abc"), 'Say why, for the history of each task: --reason "…"'),
        (("redrive", "abc", "--reason", "  "), "Say why"),
        (("list", "--limit", "0"), "--limit must be at least 1"),
        (("list", "--format", "xml"), "invalid choice: 'xml'"),
        (("bogus",), "invalid choice: 'bogus'"),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_answered_with_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    for start in ("abc", "abd"):
        FailureGroup.objects.create(fingerprint=start.ljust(32, "0"), definition="a.b")
    with pytest.raises(CommandError, match=sentence):
        said(*arguments)
