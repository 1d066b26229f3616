"""What an operator does to many tasks: by the same rules as to one, once, and as a task when they are many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError
from django.utils import timezone

from taskcenter import lifecycle, operations
from taskcenter.context import TaskContext
from taskcenter.models import Notification, Queue, Report, Task, TaskEvent
from taskcenter.models.narrow import cases
from taskcenter.operations import VERBS, Order, Selection, work
from taskcenter.rules import Tally
from taskcenter.states import FINAL, State
from taskcenter.testing import run_pending
from tests.factories import make_event, make_report, make_staff, make_task, make_user, make_worker
from tests.integration.rivals import at_once, overtaken

pytestmark = pytest.mark.django_db

MAY = ("view_task", "retry_task", "cancel_task", "recover_task")
OPERATE = "taskcenter.tasks.operate"


@pytest.fixture
def boss() -> Any:
    return make_staff("boss", permissions=MAY)


def order(verb: str, selection: Selection, once: str = "click-1") -> Order:
    return Order(VERBS[verb], selection, "Disk was full", once)


def of_list(**filters: str) -> Selection:
    return Selection.of_list(filters)


def given(order: Order, operator: Any, expected: int = 3) -> Task:
    task, is_new = operations.enqueue(order, operator, expected=expected)
    assert is_new
    return task


def run_operations() -> list[Any]:
    return run_pending(definitions=[OPERATE])


def fresh(task: Task) -> Task:
    return Task.objects.get(pk=task.pk)


def one_of_each() -> list[Task]:
    """A task in every case that a rule can tell apart."""
    now = timezone.now()
    return [
        *(make_task(state) for state in State if state != State.PROCESSING),
        make_task(State.PROCESSING, worker=make_worker()),
        make_task(State.PROCESSING, worker=make_worker(), cancel_requested_at=now),
        make_task(State.PROCESSING, worker=make_worker(silent=3600)),
        make_task(State.PROCESSING, worker_id=None),
    ]


def everything(task: Task) -> dict[str, Any]:
    """What a move may have changed on the row, but for the moment of it."""
    row = Task.objects.values().get(pk=task.pk)
    times = {name for name in row if name.endswith("_at") or name == "run_after"}
    return {name: bool(value) if name in times else value for name, value in row.items() if name != "id"}


# The rule: once for the count, for many, for one.


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_dry_run_says_what_then_happens(verb: str, boss: Any) -> None:
    tasks = one_of_each()
    foreseen = Tally.of(VERBS[verb].rule, cases(Task.objects.all()))
    assert foreseen.changed
    done = VERBS[verb].run_many([task.pk for task in tasks], actor=boss, reason="x", once="click-1")
    assert done == foreseen


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_fits_only_in_the_states_it_names(verb: str) -> None:
    for case in cases(Task.objects.filter(pk__in=[task.pk for task in one_of_each()])):
        assert case.state in VERBS[verb].states or not VERBS[verb].rule(case).fits


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_many_are_moved_as_one_is(verb: str, boss: Any) -> None:
    owner = make_user()
    ones, manys = ([], [])
    for twins in (ones, manys):
        for task in one_of_each():
            Task.objects.filter(pk=task.pk).update(owner=owner, kwargs={"number": len(twins)})
            make_report(task, is_final=False)
            make_event(task, text="before")
            twins.append(task)
    for task in ones:
        VERBS[verb].run(task.pk, actor=boss, reason="x", once="click-1")
    VERBS[verb].run_many([task.pk for task in manys], actor=boss, reason="x", once="click-1")
    for one, many in zip(ones, manys, strict=True):
        a, b = everything(one), everything(many)
        a["worker_id"] = b["worker_id"] = None  # each has its own
        assert a == b
        told = [
            list(task.events.told().values_list("seq", "kind", "text", "attempt", "actor", "data"))
            for task in (one, many)
        ]
        assert told[0] == told[1]
        for model in (Report, Notification):
            fields = ("attempt", "is_final") if model is Report else ("attempt", "kind", "text")
            assert list(model.objects.filter(task=one).values_list(*fields)) == list(
                model.objects.filter(task=many).values_list(*fields)
            )


def test_many_tasks_take_few_statements(django_assert_max_num_queries: Any, boss: Any) -> None:
    ids = {"retry": [], "cancel": []}
    for _ in range(100):
        ids["retry"].append(make_task(State.FAILED, owner=boss).pk)
        ids["cancel"].append(make_task(owner=boss).pk)
    for verb, tasks in ids.items():
        with django_assert_max_num_queries(15):
            tally = VERBS[verb].run_many(tasks, actor=boss, reason="x", once="click-1")
        assert tally.changed == 100


def test_one_that_cannot_be_moved_does_not_stop_the_others(boss: Any) -> None:
    holder = make_task(unique_key="sales")
    held = make_task(State.FAILED, unique_key="sales")
    free = make_task(State.FAILED, unique_key="costs")
    tally = lifecycle.retry_many([held.pk, free.pk], actor=boss, reason="x", once="click-1")
    assert (tally.done["retried"], tally.left.total()) == (1, 1)
    assert "unique key" in str(tally)
    assert [fresh(task).state for task in (holder, held, free)] == ["pending", "failed", "pending"]
    assert TaskEvent.objects.filter(kind="retried").count() == 1


def test_a_line_of_history_that_is_told_meanwhile_costs_nothing(boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [make_task(State.FAILED) for _ in range(3)]
    tell_many = TaskEvent.objects.all().__class__.tell_many

    def late(self: Any, lines: list[dict[str, Any]], **options: Any) -> None:
        """Whoever else tells a line now takes the number that this one was to have."""
        TaskEvent.objects.create(task_id=lines[0]["task_id"], seq=1, kind="log", text="the same number")
        tell_many(self, [{**line, "nth": line["nth"] - 1} for line in lines[:1]] + lines[1:], **options)

    monkeypatch.setattr(TaskEvent.objects.all().__class__, "tell_many", late)
    tally = lifecycle.retry_many([task.pk for task in tasks], actor=boss, reason="x", once="click-1")
    assert tally == Tally.from_json({"done": {"retried": 3}})
    assert TaskEvent.objects.filter(kind="retried").count() == 3


# Once.


@pytest.mark.parametrize("verb", ["retry", "cancel"])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_the_same_confirmation_does_nothing_twice(verb: str, many: bool, boss: Any) -> None:
    task = make_task(State.FAILED if verb == "retry" else State.PENDING)

    def click(once: str) -> bool:
        if many:
            return bool(VERBS[verb].run_many([task.pk], actor=boss, reason="x", once=once).changed)
        return VERBS[verb].run(task.pk, actor=boss, reason="x", once=once).moved

    def fall_back() -> None:
        """The task is again as it was: it failed anew, or somebody retried it."""
        Task.objects.filter(pk=task.pk).update(state=task.state, finished_at=task.finished_at)

    assert click("click-1")
    fall_back()
    assert not click("click-1")
    assert fresh(task).state == task.state
    assert click("click-2")


def test_a_retry_that_comes_second_says_who_was_first(boss: Any) -> None:
    task = make_task(State.FAILED)
    assert lifecycle.retry(task.pk, actor=boss, reason="mine")
    outcome = lifecycle.retry(task.pk, actor=make_staff("other"), reason="theirs")
    assert not outcome.moved
    assert "it was retried before by boss, at " in outcome.text
    assert fresh(task).events.filter(kind="retried").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_two_operators_at_once_do_it_once(verb: str, boss: Any) -> None:
    other = make_staff("other", permissions=MAY)
    state = State.FAILED if verb == "retry" else State.PENDING
    ids = [make_task(state).pk for _ in range(20)]
    tallies = at_once(
        4,
        lambda number: VERBS[verb].run_many(
            ids if number % 2 else ids[::-1], actor=(boss, other)[number % 2], reason="x", once=f"click-{number}"
        ),
    )
    assert sum(tally.changed for tally in tallies) == 20
    kind = "retried" if verb == "retry" else "cancelled"
    assert TaskEvent.objects.filter(kind=kind).count() == 20


@pytest.mark.django_db(transaction=True)
def test_a_click_that_runs_into_another_waits_and_leaves_it_alone(boss: Any) -> None:
    ids = [make_task(State.FAILED).pk for _ in range(3)]
    first, second = overtaken(
        lambda: lifecycle.retry_many(ids, actor=boss, reason="x", once="click-1"),
        lambda: lifecycle.retry_many(ids, actor=boss, reason="x", once="click-1"),
    )
    assert first.changed == 3
    assert second.changed == 0
    assert TaskEvent.objects.filter(kind="retried").count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_same_confirmation_makes_one_task_however_often_it_comes_at_once(boss: Any) -> None:
    make_task(State.FAILED)
    selection = of_list(state="failed")
    made = at_once(5, lambda _: operations.enqueue(order("retry", selection), boss, expected=1))
    assert [is_new for _, is_new in made].count(True) == 1
    assert len({task.pk for task, _ in made}) == 1
    assert Task.objects.filter(definition=OPERATE).count() == 1


def test_the_same_confirmation_makes_no_second_task_when_the_first_has_ended(boss: Any) -> None:
    make_task(State.FAILED)
    selection = of_list(state="failed")
    first = given(order("retry", selection), boss)
    run_operations()
    assert fresh(first).state == State.COMPLETED
    again, is_new = operations.enqueue(order("retry", selection), boss, expected=1)
    assert (again.pk, is_new) == (first.pk, False)
    assert Task.objects.filter(definition=OPERATE).count() == 1
    assert given(order("retry", selection, once="click-2"), boss).pk != first.pk


# As a task of its own.


def test_a_large_operation_walks_through_all_of_its_list(boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    failed = [make_task(State.FAILED) for _ in range(5)]
    done, waiting = make_task(State.COMPLETED), make_task()
    task = given(order("retry", of_list()), boss, expected=5)
    assert (task.label, task.owner) == ("Retry 5 tasks", boss)
    run_operations()
    row = fresh(task)
    assert row.state == State.COMPLETED, row.error_message
    assert row.result == {"done": {"retried": 5}, "left": {}}
    assert row.progress_state["metadata"]["done"] == 5
    assert {fresh(one).state for one in failed} == {State.PENDING}
    assert [fresh(one).rev for one in (done, waiting)] == [done.rev, waiting.rev]
    lines = TaskEvent.objects.filter(kind="retried")
    assert set(lines.values_list("actor", "text")) == {(boss.pk, "Disk was full")}
    report = Report.objects.get(task=task, is_final=True)
    assert "5 retried" in report.data["summary"]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (boss, str(task.pk))
    assert "Done: 5 retried. Reason: Disk was full" in entry.change_message


def test_tasks_named_one_by_one_may_be_many(boss: Any) -> None:
    ids = [make_task(State.FAILED).pk for _ in range(3)] + [make_task(State.COMPLETED).pk]
    task = given(order("retry", Selection.of_ids(ids)), boss)
    run_operations()
    assert fresh(task).result == {"done": {"retried": 3}, "left": {"it is completed": 1}}


def test_what_came_or_ended_after_the_look_is_left_out(boss: Any) -> None:
    seen = make_task(State.FAILED)
    selection = of_list(state="failed")
    later = timezone.now() + timedelta(minutes=1)
    new = make_task(State.FAILED, created_at=later, finished_at=later)
    failed_since = make_task(State.FAILED, finished_at=later)
    given(order("retry", selection), boss)
    run_operations()
    assert [fresh(one).state for one in (seen, new, failed_since)] == ["pending", "failed", "failed"]


def test_what_changed_between_look_and_turn_is_judged_afresh(boss: Any) -> None:
    tasks = [make_task() for _ in range(3)]
    selection = Selection.of_ids([task.pk for task in tasks])
    given(order("cancel", selection), boss)
    Task.objects.filter(pk=tasks[0].pk).update(state=State.COMPLETED, finished_at=timezone.now())
    tasks[1].delete()
    [ran] = run_operations()
    left = {"it is completed already": 1, "it does not exist any more": 0}
    assert fresh(ran.task).result["done"] == {"cancelled": 1}
    assert fresh(ran.task).result["left"] == {key: count for key, count in left.items() if count}


def test_an_operation_does_not_meet_itself(boss: Any) -> None:
    make_task()
    given(order("cancel", of_list(state="live")), boss, expected=1)
    [ran] = run_operations()
    assert fresh(ran.task).state == State.COMPLETED
    assert fresh(ran.task).result["done"] == {"cancelled": 1}


def test_whoever_has_lost_the_permission_is_stopped_at_the_next_chunk(
    boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    failed = [make_task(State.FAILED) for _ in range(5)]
    task = given(order("retry", of_list(state="failed")), boss)
    chunk = work._chunk

    def then_revoked(*args: Any) -> Any:
        made = chunk(*args)
        boss.user_permissions.clear()
        return made

    monkeypatch.setattr(work, "_chunk", then_revoked)
    run_operations()
    row = fresh(task)
    assert (row.state, row.failures) == (State.FAILED, 1), "it is not tried again"
    assert row.error_message == "boss may not retry tasks any more."
    assert [fresh(one).state for one in failed].count(State.PENDING) == 2
    assert "Stopped before its end: 2 retried." in LogEntry.objects.get().change_message


@pytest.mark.parametrize("change", ["gone", "inactive"])
def test_an_operator_who_is_no_more_moves_nothing(boss: Any, change: str) -> None:
    failed = make_task(State.FAILED)
    task = given(order("retry", of_list(state="failed")), boss)
    if change == "gone":
        boss.delete()
    else:
        boss.is_active = False
        boss.save()
    run_operations()
    assert (fresh(task).state, fresh(failed).state) == (State.FAILED, State.FAILED)


def test_tasks_out_of_sight_are_left_out(boss: Any, settings: Any) -> None:
    seen, hidden = make_task(State.FAILED), make_task(State.FAILED, queue="analysis")
    settings.TASKCENTER = {"VISIBLE": "tests.integration.test_operations.only_default"}
    given(order("retry", of_list(state="failed")), boss)
    given(order("retry", Selection.of_ids([hidden.pk]), once="click-2"), boss)
    run_operations()
    assert [fresh(one).state for one in (seen, hidden)] == ["pending", "failed"]


def only_default(user: Any, queryset: Any) -> Any:
    return queryset.filter(queue="default")


def test_a_cancelled_operation_stops_behind_a_chunk_and_says_how_far_it_came(
    boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "CHUNK", 2)
    failed = [make_task(State.FAILED) for _ in range(5)]
    task = given(order("retry", of_list(state="failed")), boss)
    chunk = work._chunk

    def then_cancelled(*args: Any) -> Any:
        made = chunk(*args)
        lifecycle.request_cancel(task.pk, actor=boss)
        return made

    monkeypatch.setattr(work, "_chunk", then_cancelled)
    run_operations()
    assert fresh(task).state == State.CANCELLED
    assert [fresh(one).state for one in failed].count(State.PENDING) == 2
    assert Report.objects.get(task=task, is_final=True).data["summary"] == "Stopped before its end: 2 retried."
    # Retried, it goes on where it was.
    monkeypatch.setattr(work, "_chunk", chunk)
    lifecycle.retry(task.pk, actor=boss)
    run_operations()
    assert fresh(task).result == {"done": {"retried": 5}, "left": {}}
    assert TaskEvent.objects.filter(kind="retried", task__in=failed).count() == 5


def test_all_attempts_together_write_one_line_in_the_log(boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make_task(State.FAILED)
    task = given(order("retry", of_list(state="failed")), boss)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("between the line and the end")

    with monkeypatch.context() as patched:
        patched.setattr(TaskContext, "report", away)
        run_operations()
    assert fresh(task).failures == 1
    Task.objects.filter(pk=task.pk).update(state=State.PENDING, run_after=None)
    run_operations()
    assert fresh(task).result == {"done": {"retried": 1}, "left": {}}
    assert LogEntry.objects.count() == 1


def test_a_chunk_of_an_attempt_that_was_overtaken_is_rolled_back(boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = make_task(State.FAILED)
    task = given(order("retry", of_list(state="failed")), boss)
    retry_many = lifecycle.retry_many

    def overtaken_meanwhile(ids: Any, **options: Any) -> Tally:
        tally = retry_many(ids, **options)
        Task.objects.filter(pk=task.pk).update(attempt=7)
        return tally

    verb = VERBS["retry"]
    monkeypatch.setitem(
        operations.VERBS,
        "retry",
        type(verb)(**{**{n: getattr(verb, n) for n in verb.__slots__}, "run_many": overtaken_meanwhile}),
    )
    run_operations()
    assert fresh(failed).state == State.FAILED
    assert not LogEntry.objects.exists()


def test_recovery_of_many_puts_right_what_is_lost_and_leaves_the_living(boss: Any) -> None:
    lost = [make_task(State.PROCESSING, worker=make_worker(silent=3600)) for _ in range(3)]
    alive = make_task(State.PROCESSING, worker=make_worker())
    given(order("recover", of_list(state="lost")), boss)
    [ran] = run_operations()
    assert fresh(ran.task).result == {"done": {"recovered": 3}, "left": {}}
    assert {fresh(one).state for one in lost} == {State.PENDING}
    assert fresh(alive).rev == alive.rev
    assert set(TaskEvent.objects.filter(kind="recovered").values_list("actor", "text")) == {(boss.pk, "Disk was full")}


def test_an_operation_is_put_where_something_moves(boss: Any) -> None:
    make_worker(queues=["default", "analysis"])
    assert given(order("retry", of_list()), boss).queue == "default"
    Queue.objects.pause("default", "Night")
    assert given(order("retry", of_list(), once="click-2"), boss).queue == "analysis"
    Queue.objects.pause("analysis", "Night")
    assert given(order("retry", of_list(), once="click-3"), boss).queue == "default"


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"ids": []},
        {"ids": ["x"]},
        {"ids": ["0" * 32] * 1001},
        {"filters": {}},
        {"filters": {}, "before": "yesterday"},
        {"filters": {}, "before": "2026-01-01T00:00:00"},
        {"filters": {"owner": "1"}, "before": "2026-01-01T00:00:00+00:00"},
        {"filters": {"q": 7}, "before": "2026-01-01T00:00:00+00:00"},
        {"filters": {"q": "\0"}, "before": "2026-01-01T00:00:00+00:00"},
        [],
        None,
    ],
)
def test_what_is_no_selection_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match=r"Name 1 to|A list is narrowed|not a moment|badly formed"):
        Selection.from_json(told)


def test_a_selection_is_the_same_after_its_way_through_json() -> None:
    for selection in (of_list(state="failed", q="Sales"), Selection.of_ids([make_task().pk])):
        assert Selection.from_json(selection.as_json()) == selection


def test_the_final_states_are_left_alone_by_cancel() -> None:
    assert VERBS["cancel"].states.isdisjoint(FINAL)
