"""How an explanation is worded, and what it holds; the judgement of arguments."""

from __future__ import annotations

import inspect
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from taskcenter.explain import Explanation, Reason
from taskcenter.explain.words import counted, label, listed, span, when
from taskcenter.management.findings import Heap
from taskcenter.management.trial import Trial
from taskcenter.models import Task
from tests.ledger.tasks import add, echo, fragile

NOON = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (5400, "1 h 30 min"),
        (86_400 * 2 + 3600 * 4 + 59, "2 d 4 h"),
        (86_400 + 60, "1 d"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_things_are_counted_as_people_do() -> None:
    assert [counted(number, "task") for number in (0, 1, 2, 1500)] == ["0 tasks", "one task", "2 tasks", "1,500 tasks"]
    assert counted(1000, "task", at_least=True) == "at least 1,000 tasks"


def test_a_time_is_told_in_the_zone_in_force(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    assert when(NOON) == "2026-11-25 13:00:30 CET"
    settings.USE_TZ = False
    assert when(NOON.replace(tzinfo=None)) == "2026-11-25 12:00:30"


def test_a_title_cannot_break_out_of_its_line() -> None:
    task = Task(title="one\ntwo\x1b[2J\u202ethree", definition="a.b")
    assert label(task) == "one two [2J three"


def test_what_is_not_named_is_counted() -> None:
    tasks = [Task(title="A", definition="a.b"), Task(definition="shop.tasks.send")]
    assert listed(tasks, 2) == f"A ({tasks[0].pk}), send ({tasks[1].pk})"
    assert listed(tasks, 2000).endswith(" and 1,998 more")
    assert listed([], 7) == ""


def test_an_explanation_is_its_best_reason_and_can_be_written_as_json() -> None:
    reasons = (Reason("no_worker", "Nobody is there.", "Start one.", {"queue": "default"}), Reason("behind", "Others."))
    found = Explanation(uuid.UUID(int=1), "pending", "send", reasons)
    assert str(found) == "Nobody is there. Start one."
    assert not found.is_running
    written = json.loads(json.dumps(found.as_dict()))
    assert [reason["code"] for reason in written["reasons"]] == ["no_worker", "behind"]
    assert written["reasons"][0]["data"] == {"queue": "default"}
    assert Explanation(None, "processing", "", (Reason("running", "It runs."),)).is_running


@pytest.mark.parametrize(
    ("definition", "args", "kwargs", "fits"),
    [
        (add, [1, 2], {}, True),
        (add, [], {"b": 1, "a": 2}, True),
        (add, [1], {}, False),
        (add, [1, 2], {"a": 1}, False),
        (echo, [1] * 99, {"anything": 1}, True),
        (fragile, [1], {}, True),
        (fragile, [1, 2], {}, False),
        (add, None, {}, False),
        (add, [1, 2], [], False),
    ],
)
def test_arguments_fit_or_not(definition: Any, args: Any, kwargs: Any, fits: bool) -> None:
    trial = Trial(definition, Heap(NOON), Task.objects.none())
    for _ in range(2):  # the second time from memory
        assert (trial._verdict(inspect.signature(definition.func), args, kwargs) == "") is fits
