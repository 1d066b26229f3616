"""While the last task in hand runs, the helper claims the next: never beside one that runs alone, never for long."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from taskcenter.models import Task
from taskcenter.models.engine import Claimed, Ended, Want
from taskcenter.worker import desk as room
from taskcenter.worker import story
from taskcenter.worker.desk import Desk
from taskcenter.worker.page import Page
from taskcenter.worker.slot import PageListener
from tests.factories import make_task as make
from tests.ledger.tasks import plain

WANT = Want(("default",), (plain.module_path,), uuid.uuid4(), 2)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Without its thread: the tests look in its place."""
    made = Desk(Page())
    yield made
    made.reconnect()


def make_task(**fields: int) -> Task:
    return make(definition=plain.module_path, **fields)


def ended(claimed: Claimed) -> Ended:
    listener = PageListener(Page(), (claimed.id, claimed.attempt))
    return story.Attempt(claimed, listener).ended(story.Returned("1"))


def begin_last(desk: Desk, want: Want = WANT) -> Claimed:
    """Claim, end the first task, begin the last."""
    desk.turn(want)
    first = desk.next(lambda: None)
    assert first is not None
    desk.done(ended(first))
    last = desk.next(lambda: want)
    assert last is not None
    return last


def states(*tasks: Task) -> list[tuple[str, int]]:
    found = {task.id: (task.state, task.attempt) for task in Task.objects.all()}
    return [found[task.id] for task in tasks]


def test_what_has_ended_is_written_and_more_is_claimed_while_the_last_one_runs(desk: Desk) -> None:
    tasks = [make_task() for _ in range(5)]
    last = begin_last(desk)
    desk._look()
    assert states(*tasks) == [("completed", 1), *[("processing", 1)] * 3, ("pending", 0)]
    assert desk._page.held() == [(tasks[2].id, 1), (tasks[3].id, 1), (last.id, 1)]
    desk.done(ended(last))
    assert desk.next(lambda: None) is not None
    assert desk.claimed_from() == ["default"] * 4
    assert desk.claimed_from() == []


def test_all_in_hand_was_claimed_at_one_time_so_that_none_is_blamed_alone(desk: Desk) -> None:
    for _ in range(4):
        make_task()
    begin_last(desk)
    desk._look()
    held = Task.objects.processing()
    assert held.count() == 3
    assert held.values("attempted_at").distinct().count() == 1
    assert set(Task.objects.claimed_with(held[0])) == set(held)


@pytest.mark.parametrize("trouble", [{"interrupted": 1}, {"crashes": 1}, {"max_crashes": 0}], ids=str)
def test_nothing_is_claimed_beside_a_task_that_runs_alone(desk: Desk, trouble: dict[str, int]) -> None:
    """It is lost alone when its worker is, and so convicted by itself."""
    tasks = [make_task(), make_task(attempt=1, **trouble), make_task()]
    assert begin_last(desk).id == tasks[1].id
    desk._look()
    assert states(tasks[2]) == [("pending", 0)]


def test_where_less_was_there_than_wanted_nothing_is_looked_for(desk: Desk) -> None:
    make_task()
    assert desk.turn(WANT._replace(limit=4))
    assert desk.next(lambda: pytest.fail("it asked")) is not None


def test_turns_are_made_ahead_for_a_while_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt must not look much older than it is: recovery and people go by that."""
    tasks = [make_task() for _ in range(6)]
    last = begin_last(desk)
    desk._look()
    desk.done(ended(last))
    desk.next(lambda: None)
    monkeypatch.setattr(room, "AHEAD", 0.0)
    assert desk.next(lambda: pytest.fail("it asked")) is not None
    desk._look()
    assert states(*tasks[4:]) == [("pending", 0)] * 2


def test_a_slow_task_hands_back_what_was_claimed_ahead(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [make_task() for _ in range(4)]
    begin_last(desk)
    desk._look()
    monkeypatch.setattr(room, "SLOW", 0.0)
    desk._look()
    assert states(*tasks[1:]) == [("processing", 1), ("pending", 1), ("pending", 1)]
    assert [task.crashes for task in Task.objects.all()] == [0] * 4


def test_a_slot_that_was_quicker_than_its_helper_claims_by_itself(desk: Desk) -> None:
    tasks = [make_task() for _ in range(6)]
    last = begin_last(desk)
    desk.done(ended(last))
    assert [row.id for row in desk.turn(WANT)] == [task.id for task in tasks[2:4]]
    desk._look()
    assert states(*tasks[4:]) == [("pending", 0)] * 2, "it claimed a second time"
