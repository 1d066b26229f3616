"""How many tasks a slot claims at once: as many as it will probably finish in time, and one for strangers' sake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from taskcenter.compat import task_finished
from taskcenter.worker.page import Page
from taskcenter.worker.slot import BATCH_SECONDS, Slot

pytestmark = pytest.mark.django_db


@pytest.fixture
def slot() -> Iterator[Slot]:
    made = Slot(Page(), ["default"])
    yield made
    made.desk.reconnect()


def after_runs(slot: Slot, seconds: float, count: int = 200) -> int:
    for _ in range(count):
        slot._learn(seconds)
    return slot._batch_size()


def test_an_unknown_queue_begins_with_one(slot: Slot) -> None:
    assert slot._batch_size() == 1


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.00001, 64), (BATCH_SECONDS / 50, 32), (BATCH_SECONDS / 5, 4), (0.05, 1), (60.0, 1)]
)
def test_as_many_as_fit_into_a_batch_s_time_in_steps_of_two(slot: Slot, seconds: float, size: int) -> None:
    assert after_runs(slot, seconds) == size


def test_one_slow_task_is_remembered_for_a_while(slot: Slot) -> None:
    assert after_runs(slot, 0.0001) == 64
    assert after_runs(slot, 1.0, count=1) == 1
    assert after_runs(slot, 0.0001, count=5) == 1
    assert after_runs(slot, 0.0001, count=200) == 64


def test_the_setting_is_the_most(slot: Slot, settings: Any) -> None:
    settings.TASKCENTER = {"BATCH": 8}
    assert after_runs(slot, 0.00001) == 8
    settings.TASKCENTER = {"BATCH": 1}
    assert slot._batch_size() == 1


def test_no_more_than_a_slot_may_run_before_it_is_replaced(slot: Slot) -> None:
    slot.max_tasks, slot.ran = 100, 97
    assert after_runs(slot, 0.00001) == 2


def test_whoever_listens_to_ends_hears_of_each_before_the_next_begins(slot: Slot) -> None:
    def listener(**_: Any) -> None:
        """Somebody who wants to know."""

    assert after_runs(slot, 0.00001) == 64
    task_finished.connect(listener)
    try:
        assert slot._batch_size() == 1
    finally:
        task_finished.disconnect(listener)
    assert slot._batch_size() == 64


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.00001, None), (0.003, 4), (BATCH_SECONDS / 5, 2), (BATCH_SECONDS / 3, 1), (0.05, None)]
)
def test_half_as_many_are_claimed_ahead_where_another_thread_has_the_time(
    slot: Slot, seconds: float, size: int | None
) -> None:
    after_runs(slot, seconds)
    want = slot._want_ahead()
    assert (want.limit if want else None) == size


def test_a_slot_that_is_to_end_or_to_pause_claims_nothing_ahead(slot: Slot) -> None:
    after_runs(slot, 0.01)
    for name in ("stopping", "paused"):
        setattr(slot.page, name, True)
        assert slot._want_ahead() is None
        setattr(slot.page, name, False)
    slot.max_tasks, slot.ran = 100, 98
    assert slot._want_ahead() is None, "one is in hand, and one may be claimed: no batch"
