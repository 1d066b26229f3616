"""The soak in small: a mix of tasks, random kills meanwhile, and every promise checked at the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.processes import Process
from tests.soak.chaos import Kill
from tests.soak.generator import Promises
from tests.soak.marks import Beginning, Marks
from tests.soak.plan import KINDS, make_plan
from tests.soak.reruns import reruns
from tests.soak.verdict import Evidence, Kept, Row, Told, judge

SECONDS, TASKS = 45, 3000
LONGEST = 900.0
"""Seconds for the run and all that waits at its end: a net for slow machines, never a measure."""

OWNER = 5


def test_a_mixed_load_survives_random_kills(tmp_path: Path) -> None:
    """Another seed each time; the one that failed is printed, and `make soak SEED=` takes it."""
    seed = os.environ.get("SEED") or str(random.randrange(1_000_000))
    database = os.environ.get("TEST_DATABASE") or "sqlite"
    command = [sys.executable, "-m", "tests.soak", "--seed", seed, "--seconds", str(SECONDS), "--tasks", str(TASKS)]
    run = Process([*command, "--database", database], log=tmp_path / "soak.log")
    try:
        status = run.wait(LONGEST)
    finally:
        run.popen.send_signal(signal.SIGINT)  # one that runs still puts its servers and files away
        with suppress(subprocess.TimeoutExpired):
            run.popen.wait(30)
        run.kill9()
    assert status == 0, f"Seed {seed}:\n{run.output()}"


def test_a_seed_means_the_same_load_everywhere() -> None:
    options = {"seconds": 60, "tasks": 2000, "slots": 6}
    plan = make_plan(seed=7, **options)
    assert plan == make_plan(seed=7, **options)
    assert plan != make_plan(seed=8, **options)
    assert sum(len(order.arguments) for order in plan if order.fate != "rolled back") == 2000
    assert {order.kind.name for order in plan} == {kind.name for kind in KINDS}
    assert {order.fate for order in plan} == {"kept", "half", "rolled back"}


# The verdict is worth something only if it can be against us: one good run, spoilt in each way.


class Run:
    """The evidence of one task of each kind, all in order."""

    def __init__(self) -> None:
        self.ids = {kind.name: uuid.uuid4() for kind in KINDS}
        self.evidence = Evidence(Promises(), Marks(), {})
        for kind in KINDS:
            self._add(kind.name, kind.ends[0], owned=kind.owned)
        self.evidence.promises.ghosts.add(uuid.uuid4())
        self.evidence.promises.cancelled.add(self.ids["cancelled"])
        self.evidence.promises.not_before[self.ids["later"]] = timezone.now() - timedelta(hours=1)
        self.evidence.reports[self.ids["reported"]].append(Kept(2, {"attempt": 2}))
        self.change("failing", failures=2)
        self.change("poison", crashes=3)

    def _add(self, name: str, state: str, *, owned: bool) -> None:
        """Each was begun twice, but for those that must not be."""
        task_id = self.ids[name]
        attempt = 1 if name == "at most once" else 2
        evidence = self.evidence
        evidence.promises.kinds[task_id] = next(kind for kind in KINDS if kind.name == name)
        for number in range(1, attempt + 1):
            evidence.marks.note("begin", task_id, number)
        if state == "completed":
            evidence.marks.note("end", task_id, attempt)
        result = {"attempt": attempt} if state == "completed" else None
        owner = OWNER if owned else None
        evidence.rows[task_id] = Row(task_id, state, attempt, 0, 0, result, owner, timezone.now(), "")
        if owned:
            evidence.notifications[task_id].append(Told(attempt, state, owner))

    def change(self, name: str, **changes: Any) -> None:
        task_id = self.ids[name]
        self.evidence.rows[task_id] = self.evidence.rows[task_id]._replace(**changes)

    def begin(self, name: str, attempt: int) -> None:
        self.evidence.marks.note("begin", self.ids[name], attempt)

    def broken(self) -> set[str]:
        return {rule for rule, _ in judge(self.evidence)}


def a_row_is_gone(run: Run) -> None:
    del run.evidence.rows[run.ids["quick"]]


def a_rolled_back_task_has_a_row(run: Run) -> None:
    [ghost] = run.evidence.promises.ghosts
    run.evidence.rows[ghost] = run.evidence.rows[run.ids["quick"]]._replace(id=ghost)


def a_rolled_back_task_ran(run: Run) -> None:
    [ghost] = run.evidence.promises.ghosts
    run.evidence.marks.note("begin", ghost, 1)


def an_end_mark_is_missing(run: Run) -> None:
    run.evidence.marks.ended[run.ids["nap"]].clear()


def a_report_is_missing(run: Run) -> None:
    run.evidence.reports.clear()


def a_report_is_there_twice(run: Run) -> None:
    run.evidence.reports[run.ids["reported"]] *= 2


def a_notification_is_missing(run: Run) -> None:
    run.evidence.notifications[run.ids["failing"]].clear()


def a_notification_is_there_twice(run: Run) -> None:
    run.evidence.notifications[run.ids["cancelled"]] *= 2


def a_stranger_was_told(run: Run) -> None:
    run.evidence.notifications[run.ids["quick"]].append(Told(2, "completed", OWNER))


def a_crash_was_taken_for_a_failure(run: Run) -> None:
    run.change("quick", failures=1)


def a_poison_task_ended_well(run: Run) -> None:
    run.evidence.marks.note("end", run.ids["poison"], 2)


SPOILT: list[tuple[str, Callable[[Run], None]]] = [
    ("I1", a_row_is_gone),
    ("I1", a_rolled_back_task_has_a_row),
    ("I1", a_rolled_back_task_ran),
    ("I1", a_crash_was_taken_for_a_failure),
    ("I2", an_end_mark_is_missing),
    ("I2", a_poison_task_ended_well),
    ("I5", a_report_is_missing),
    ("I5", a_report_is_there_twice),
    ("I5", a_notification_is_missing),
    ("I5", a_notification_is_there_twice),
    ("I5", a_stranger_was_told),
    ("I1", lambda run: run.change("nap", state="pending")),
    ("I1", lambda run: run.change("cancelled", state="completed")),
    ("I1", lambda run: run.change("later", attempted_at=timezone.now() - timedelta(hours=2))),
    ("I1", lambda run: run.change("stumbling", failures=3)),
    ("I1", lambda run: run.change("poison", crashes=2)),
    ("I2", lambda run: run.change("nap", result={"attempt": 1})),
    ("I2", lambda run: run.begin("nap", 2)),
    ("I2", lambda run: run.begin("nap", 3)),
    ("I2", lambda run: run.begin("at most once", 2)),
    ("I3", lambda run: run.change("quick", state="failed")),
]


def test_a_run_in_order_breaks_no_rule() -> None:
    assert Run().broken() == set()


@pytest.mark.parametrize(("rule", "spoil"), SPOILT)
def test_each_rule_bites(rule: str, spoil: Callable[[Run], None]) -> None:
    run = Run()
    spoil(run)
    assert rule in run.broken()


def test_the_way_from_a_kill_to_the_rerun_is_measured_of_what_was_running() -> None:
    run = Run()
    nap, quick, failing = run.ids["nap"], run.ids["quick"], run.ids["failing"]
    marks = run.evidence.marks
    marks.ended[quick].add(1)
    for pid, begun in (
        (7, Beginning(10.0, nap, 1)),
        (8, Beginning(12.5, nap, 2)),
        (9, Beginning(10.0, quick, 1)),  # had come to its end
        (9, Beginning(13.0, quick, 2)),
        (5, Beginning(10.0, failing, 1)),  # had raised, for all that its marks tell
        (8, Beginning(14.0, failing, 2)),
    ):
        marks.note_time(pid, begun)
    kills = [Kill("slot killed", 11.0, (7,)), Kill("worker killed", 11.0, (9, 5)), Kill("slot killed", 9.0, (7,))]
    assert reruns(run.evidence, kills) == {"slot killed": [1.5]}


def test_a_mark_torn_by_a_kill_is_no_mark(tmp_path: Path) -> None:
    task = uuid.uuid4()
    (tmp_path / "1-a.txt").write_text(f"begin {task.hex} 1 1 3.5\nend {task.hex} 1 1")
    (tmp_path / "2-b.txt").write_text(f"begin {task.hex} 2 2 5.0\nend {task.hex} 2 2 6.0\n")
    marks = Marks.read(tmp_path)
    assert (dict(marks.begun), dict(marks.ended)) == ({task: {1, 2}}, {task: {2}})
    assert sorted(marks.by_task[task]) == [Beginning(3.5, task, 1), Beginning(5.0, task, 2)]
