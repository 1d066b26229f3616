"""Each guarded move: what it writes, what it refuses, and how it fares against a rival."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.lifecycle.moves import move
from taskcenter.models import Notification, Queue, Report, Task, TaskEvent, Worker
from taskcenter.recovery import TaskRecovery
from taskcenter.states import FINAL, State, may_move
from tests.factories import make_report, make_task, make_user, make_worker
from tests.integration.rivals import at_once, overtaken

pytestmark = pytest.mark.django_db

DEFINITION = "tests.tasks.sample"
FAILURE = lifecycle.Failure("builtins.ValueError", "no", "Traceback ...")
CRASH = lifecycle.Failure("", "Its process died: signal SIGKILL.", kind=TaskEvent.Kind.CRASHED)
LONG_AGO = timedelta(hours=1)


def claim(worker: Worker, *, queues: tuple[str, ...] = ("default",), limit: int = 1) -> list[Task]:
    return lifecycle.claim(queues, [DEFINITION], worker.id, limit=limit)


def running(**fields: Any) -> Task:
    return make_task(State.PROCESSING, worker=make_worker(), **fields)


def lost(**fields: Any) -> Task:
    then = timezone.now() - LONG_AGO
    return make_task(State.PROCESSING, worker=make_worker(silent=3600), attempted_at=then, **fields)


def kinds(task: Task) -> list[str]:
    return [event.kind for event in task.events.told()]


def fresh(task: Task) -> Task:
    return Task.objects.get(id=task.id)


# The guard itself.


@pytest.mark.parametrize(
    ("old", "new"),
    [(old, new) for old, new in product(State, State) if not may_move(old, new)],
    ids=lambda state: state.value,
)
def test_an_illegal_move_is_refused_and_writes_nothing(old: State, new: State) -> None:
    task = make_task(old)
    with pytest.raises(ValueError, match="No task moves"):
        move(Task.objects.all(), task, new)
    assert fresh(task).state == old
    assert fresh(task).rev == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [(old, new) for old, new in product(State, State) if may_move(old, new)],
    ids=lambda state: state.value,
)
def test_a_legal_move_raises_rev_and_sets_the_end(old: State, new: State) -> None:
    task = make_task(old)
    now = timezone.now()
    changes: dict[str, Any] = {"run_after": now} if new == State.SCHEDULED else {}
    if new == State.PROCESSING:
        changes = {"attempt": 1, "attempted_at": now}
    if old in FINAL:
        changes["finished_at"] = None
    assert move(Task.objects.all(), task, new, **changes)
    assert (fresh(task).state, fresh(task).rev) == (new, 2)
    assert (fresh(task).finished_at is not None) is (new in FINAL)


def test_a_move_is_logged_once_with_its_ids_when_it_is_committed(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    task = make_task()
    caplog.set_level("INFO", logger="taskcenter")
    with django_capture_on_commit_callbacks(execute=True):
        claim(make_worker())
        assert str(task.id) not in caplog.text, "what may yet be rolled back has not happened"
    [record] = [it for it in caplog.records if str(task.id) in it.getMessage()]
    assert "pending -> processing" in record.getMessage()
    assert (record.task_id, record.attempt, record.queue) == (str(task.id), 1, "default")  # type: ignore[attr-defined]


# Claim.


def test_a_claim_takes_the_highest_priority_and_then_the_oldest() -> None:
    oldest, urgent, later = make_task(), make_task(priority=5), make_task()
    worker = make_worker()
    assert [claim(worker)[0].id for _ in range(3)] == [urgent.id, oldest.id, later.id]
    assert claim(worker) == []


def test_a_claim_raises_the_fence_and_keeps_the_first_start() -> None:
    begun = timezone.now() - LONG_AGO
    make_task(attempt=2, failures=2, started_at=begun, max_attempts=3)
    worker = make_worker()
    [task] = claim(worker)
    assert (task.attempt, task.started_at, task.worker_id) == (3, begun, worker.id)
    assert fresh(task).attempt == 3
    assert fresh(task).attempted_at > begun


@pytest.mark.parametrize(
    "fields",
    [
        {"queue": "other"},
        {"definition": "not.known.here"},
        {"state": State.BLOCKED},
        {"state": State.SCHEDULED},
        {"state": State.PROCESSING},
        {"state": State.COMPLETED},
    ],
    ids=str,
)
def test_a_claim_leaves_what_is_not_for_it(fields: dict[str, Any]) -> None:
    make_task(**fields)
    assert claim(make_worker()) == []


def test_a_paused_queue_gives_nothing_until_it_is_resumed() -> None:
    make_task()
    Queue.objects.create(name="default", paused_at=timezone.now())
    assert claim(make_worker()) == []
    Queue.objects.update(paused_at=None)
    assert len(claim(make_worker())) == 1


def test_a_claim_of_many_takes_no_more_than_its_limit() -> None:
    for _ in range(4):
        make_task()
    assert len(claim(make_worker(), limit=3)) == 3


# The ends of an attempt.


def test_complete_keeps_result_report_and_notification_together() -> None:
    task = running(owner=make_user(), error_type="X", error_message="of an earlier try")
    make_report(task, is_final=False)
    assert lifecycle.complete(task, {"rows": 9})
    row = fresh(task)
    assert (row.state, row.result, row.progress, row.error_type, row.error_message) == (
        "completed",
        {"rows": 9},
        1,
        "",
        "",
    )
    assert Report.objects.get(task=task).is_final
    assert Notification.objects.get(task=task).kind == "completed"


@pytest.mark.parametrize("ending", ["complete", "fail", "cancelled", "snooze"])
def test_an_attempt_that_lost_its_row_writes_a_line_and_nothing_else(ending: str) -> None:
    task = running(owner=make_user())
    Task.objects.filter(id=task.id).update(attempt=2)
    before = Task.objects.filter(id=task.id).values().get()

    outcome = {
        "complete": lambda: lifecycle.complete(task, 1),
        "fail": lambda: lifecycle.fail(task, FAILURE, delay=None),
        "cancelled": lambda: lifecycle.cancelled(task),
        "snooze": lambda: lifecycle.snooze(task, 5),
    }[ending]()

    assert not outcome
    assert Task.objects.filter(id=task.id).values().get() == before
    assert kinds(task) == ["superseded"]
    assert not Notification.objects.exists()


def test_the_end_of_a_deleted_task_is_no_error() -> None:
    task = running()
    Task.objects.filter(id=task.id).delete()
    for ending in (lifecycle.complete(task, 1), lifecycle.fail(task, FAILURE, delay=1), lifecycle.cancelled(task)):
        assert not ending
    assert lifecycle.request_cancel(task.id).text == lifecycle.retry(task.id).text
    assert not TaskEvent.objects.exists()


def test_a_failure_with_tries_left_plans_the_next() -> None:
    task = running(max_attempts=2)
    before = timezone.now()
    assert lifecycle.fail(task, FAILURE, delay=60).state == "scheduled"
    row = fresh(task)
    assert (row.state, row.failures, row.worker_id, row.error_message) == ("scheduled", 1, None, "no")
    assert timedelta(seconds=55) < row.run_after - before < timedelta(seconds=90)
    assert row.shown() == "retrying"
    assert kinds(task) == ["failed", "retry_planned"]


@pytest.mark.parametrize(("max_attempts", "delay"), [(1, 60.0), (5, None)], ids=["none left", "not to be repeated"])
def test_the_last_failure_is_final(max_attempts: int, delay: float | None) -> None:
    task = running(max_attempts=max_attempts, owner=make_user())
    assert lifecycle.fail(task, FAILURE, delay=delay).state == "failed"
    row = fresh(task)
    assert (row.failures, row.error_type, row.error_message) == (1, "builtins.ValueError", "no")
    assert row.events.told()[0].data["traceback"] == "Traceback ..."
    assert Notification.objects.get(task=task).kind == "failed"


@pytest.mark.parametrize(
    "ending",
    [
        lambda task: lifecycle.fail(task, FAILURE, delay=5),
        lambda task: lifecycle.crash(task.id, task.attempt, CRASH),
        lambda task: lifecycle.snooze(task, 5),
        lambda task: lifecycle.hand_back(task.id, task.attempt, "shutdown"),
        lifecycle.cancelled,
    ],
    ids=["fail", "crash", "snooze", "hand_back", "cancelled"],
)
def test_a_task_that_was_asked_to_stop_is_cancelled_however_its_attempt_ends(ending: Callable[[Task], Any]) -> None:
    task = running(max_attempts=5, owner=make_user())
    assert lifecycle.request_cancel(task.id)
    assert ending(task).state == "cancelled"
    assert fresh(task).state == "cancelled"
    assert Notification.objects.get(task=task).kind == "cancelled"


def test_a_crash_is_not_a_failure() -> None:
    task = running()
    assert lifecycle.crash(task.id, 1, CRASH).state == "pending"
    row = fresh(task)
    assert (row.crashes, row.failures, row.worker_id) == (1, 0, None)
    assert kinds(task) == ["crashed"]


@pytest.mark.parametrize(("crashes", "max_crashes"), [(2, 3), (0, 1), (0, 0)])
def test_the_last_crash_is_final(crashes: int, max_crashes: int) -> None:
    task = running(attempt=3, crashes=crashes, max_crashes=max_crashes)
    assert lifecycle.crash(task.id, 3, CRASH).state == "failed"
    assert fresh(task).error_message == CRASH.message


def test_a_crash_after_the_end_is_an_answer() -> None:
    task = running()
    assert lifecycle.complete(task, 1)
    assert not lifecycle.crash(task.id, 1, CRASH)
    assert not lifecycle.hand_back(task.id, 1, "shutdown")
    assert fresh(task).state == "completed"


def test_snooze_and_hand_back_blame_nobody() -> None:
    napping, returned = running(), running()
    assert lifecycle.snooze(napping, 30).state == "scheduled"
    assert lifecycle.hand_back(returned.id, 1, "shutdown").state == "pending"
    for row in (fresh(napping), fresh(returned)):
        assert (row.failures, row.crashes, row.interrupted, row.worker_id) == (0, 0, 1, None)
    assert fresh(napping).shown() == "scheduled"


def test_promote_moves_only_what_is_due() -> None:
    due = make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(seconds=1))
    waiting = make_task(State.SCHEDULED)
    assert lifecycle.promote() == 1
    assert (fresh(due).state, fresh(waiting).state) == ("pending", "scheduled")
    assert lifecycle.promote() == 0


# People.


def test_a_waiting_task_is_cancelled_at_once_and_says_who_did_it() -> None:
    user = make_user()
    for state in (State.BLOCKED, State.SCHEDULED, State.PENDING):
        task = make_task(state)
        assert lifecycle.request_cancel(task.id, actor=user, reason="wrong file").state == "cancelled"
        event = task.events.get()
        assert (event.kind, event.actor, event.text) == ("cancelled", user, "wrong file")


def test_cancel_asked_twice_is_told_once() -> None:
    task = running()
    assert lifecycle.request_cancel(task.id)
    assert not lifecycle.request_cancel(task.id)
    assert fresh(task).shown() == "cancelling"
    assert kinds(task) == ["cancel_asked"]


@pytest.mark.parametrize("state", sorted(FINAL))
def test_what_has_ended_cannot_be_cancelled(state: State) -> None:
    task = make_task(state)
    outcome = lifecycle.request_cancel(task.id)
    assert not outcome
    assert state in outcome.text


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_retry_forgets_the_trouble_but_not_the_fence(state: State) -> None:
    trouble = {"attempt": 4, "failures": 1, "crashes": 2, "interrupted": 1, "cancel_requested_at": timezone.now()}
    task = make_task(state, **trouble)
    assert lifecycle.retry(task.id)
    row = fresh(task)
    assert (row.state, row.attempt, row.failures, row.crashes, row.interrupted) == ("pending", 4, 0, 0, 0)
    assert (row.finished_at, row.cancel_requested_at) == (None, None)
    assert claim(make_worker())[0].attempt == 5


@pytest.mark.parametrize("state", sorted(set(State) - {State.FAILED, State.CANCELLED}))
def test_only_failed_and_cancelled_tasks_are_retried(state: State) -> None:
    assert not lifecycle.retry(make_task(state).id)


def test_a_retry_that_would_break_a_unique_key_says_so() -> None:
    task = make_task(State.FAILED, unique_key="k")
    make_task(unique_key="k")
    outcome = lifecycle.retry(task.id)
    assert not outcome
    assert "unique key" in outcome.text
    assert fresh(task).state == "failed"


# Rivals on two connections.


class TestRivals:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_two_claims_of_one_task_give_it_to_one(self) -> None:
        make_task()
        worker = make_worker()
        first, second = overtaken(lambda: claim(worker), lambda: claim(worker))
        assert (len(first), second) == (1, [])
        assert Task.objects.get().attempt == 1

    def test_eight_workers_share_twenty_tasks_without_a_double(self) -> None:
        for _ in range(20):
            make_task()
        workers = [make_worker() for _ in range(8)]

        def take_all(number: int) -> list[uuid.UUID]:
            taken = []
            while found := claim(workers[number]) or claim(workers[number]):
                taken.append(found[0].id)
            return taken

        shares = at_once(8, take_all)
        taken = [task_id for share in shares for task_id in share]
        assert len(taken) == len(set(taken))
        assert len(taken) + Task.objects.pending().count() == 20
        assert set(Task.objects.processing().values_list("attempt", flat=True)) == {1}

    def test_a_finish_that_comes_behind_a_recovery_is_set_aside(self) -> None:
        task = lost()
        recovered, finished = overtaken(
            lambda: TaskRecovery().recover_task(task.id), lambda: lifecycle.complete(task, "late")
        )
        assert (recovered.moved, finished.moved) == (True, False)
        assert (fresh(task).state, fresh(task).result) == ("pending", None)
        assert kinds(task) == ["crashed", "recovered", "superseded"]

    def test_a_recovery_that_comes_behind_a_finish_does_nothing(self) -> None:
        task = lost()
        finished, recovered = overtaken(
            lambda: lifecycle.complete(task, "in time"), lambda: TaskRecovery().recover_task(task.id)
        )
        assert (finished.moved, recovered.moved) == (True, False)
        assert (fresh(task).state, fresh(task).result, fresh(task).crashes) == ("completed", "in time", 0)

    def test_two_recoveries_count_one_crash(self) -> None:
        task = lost()
        outcomes = overtaken(lambda: TaskRecovery().recover_task(task.id), lambda: TaskRecovery().recover_task(task.id))
        assert [outcome.moved for outcome in outcomes] == [True, False]
        assert fresh(task).crashes == 1

    def test_two_recoveries_with_the_same_old_view_count_one_crash(self) -> None:
        task = lost()
        outcomes = at_once(4, lambda _: lifecycle.recover(task.id, task.attempt))
        assert sorted(len(outcome) for outcome in outcomes) == [0, 0, 0, 1]
        assert fresh(task).crashes == 1

    def test_a_finish_behind_a_cancel_request_still_completes(self) -> None:
        task = running(owner=make_user())
        asked, finished = overtaken(lambda: lifecycle.request_cancel(task.id), lambda: lifecycle.complete(task, "done"))
        assert (asked.moved, finished.moved) == (True, True)
        assert (fresh(task).state, fresh(task).result) == ("completed", "done")
        assert Notification.objects.filter(task=task).count() == 1

    def test_a_cancel_request_behind_a_finish_is_refused(self) -> None:
        task = running(owner=make_user())
        finished, asked = overtaken(lambda: lifecycle.complete(task, "done"), lambda: lifecycle.request_cancel(task.id))
        assert (finished.moved, asked.moved) == (True, False)
        assert fresh(task).state == "completed"

    def test_a_failure_behind_a_cancel_request_is_cancelled(self) -> None:
        task = running(max_attempts=3)
        asked, failed = overtaken(
            lambda: lifecycle.request_cancel(task.id), lambda: lifecycle.fail(task, FAILURE, delay=5)
        )
        assert asked.moved
        assert failed.state == "cancelled"

    def test_a_claim_beside_a_cancel_leaves_the_task_to_one_of_them(self) -> None:
        task, worker = make_task(), make_worker()
        cancelled, claimed = overtaken(lambda: lifecycle.request_cancel(task.id), lambda: claim(worker))
        assert (cancelled.state, claimed) == ("cancelled", [])
        other = make_task()
        claimed, cancelled = overtaken(lambda: claim(worker), lambda: lifecycle.request_cancel(other.id))
        assert ([it.id for it in claimed], cancelled.state) == ([other.id], "processing")

    def test_a_retry_clicked_twice_runs_once(self) -> None:
        task = make_task(State.FAILED)
        outcomes = overtaken(lambda: lifecycle.retry(task.id), lambda: lifecycle.retry(task.id))
        assert [outcome.moved for outcome in outcomes] == [True, False]
        assert kinds(task) == ["retried"]

    def test_two_promotions_wake_a_task_once(self) -> None:
        make_task(State.SCHEDULED, run_after=timezone.now() - LONG_AGO)
        assert overtaken(lifecycle.promote, lifecycle.promote) == (1, 0)

    def test_a_crash_behind_a_finish_is_an_answer(self) -> None:
        task = running()
        finished, crashed = overtaken(
            lambda: lifecycle.complete(task, "done"), lambda: lifecycle.crash(task.id, 1, CRASH)
        )
        assert (finished.moved, crashed.moved) == (True, False)
        assert fresh(task).crashes == 0

    def test_lines_told_at_the_same_moment_are_all_kept_in_an_order(self) -> None:
        """A task's own log line beside somebody's cancel: neither may break the other."""
        task = running()
        overtaken(
            lambda: lifecycle.request_cancel(task.id),
            lambda: TaskEvent.objects.tell(task.id, TaskEvent.Kind.LOG, "halfway", attempt=1),
        )
        at_once(6, lambda n: TaskEvent.objects.tell(task.id, TaskEvent.Kind.LOG, f"line {n}", attempt=1))
        assert [event.seq for event in task.events.told()] == list(range(1, 9))


@pytest.mark.django_db(transaction=True)
def test_of_a_lost_batch_none_is_blamed_however_many_recover_it_at_once() -> None:
    worker, when = make_worker(silent=3600), timezone.now() - timedelta(hours=1)
    batch = [make_task(State.PROCESSING, worker=worker, attempted_at=when, max_crashes=0) for _ in range(6)]
    alone = make_task(State.PROCESSING, worker=worker, attempted_at=when - timedelta(seconds=1))
    outcomes = at_once(4, lambda number: lifecycle.recover(batch[number].id, 1))
    assert sorted(len(found) for found in outcomes) == [0, 0, 0, 6]
    assert {(one.state, one.crashes, one.interrupted) for one in map(fresh, batch)} == {("pending", 0, 1)}
    lifecycle.recover(alone.id, 1)
    assert (fresh(alone).crashes, fresh(alone).interrupted) == (1, 0)
