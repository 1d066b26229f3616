"""The list of stages: what is done and how long it took, what runs, what waits."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.models import Analysis
from analysis.stages import Stage, span, spans, stage_list, stage_titles
from taskcenter.models import Report, Task

TITLES = list(stage_titles().values())


def listed(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], status: str = "processing") -> list[Stage]:
    monkeypatch.setattr("analysis.stages._told", lambda _: told)
    return stage_list(Task(), Analysis(status=status))


def test_a_stage_took_until_the_next_began(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [[TITLES[0], 100.0], [TITLES[1], 100.4], [TITLES[2], 112.6]]
    stages = listed(monkeypatch, {"stage": TITLES[2], "stages": begun})
    assert stages[:3] == [
        Stage(TITLES[0], "done", "0.4 s"),
        Stage(TITLES[1], "done", "12 s"),
        Stage(TITLES[2], "running"),
    ]
    assert {stage.state for stage in stages[3:]} == {"waiting"}


def test_without_times_the_list_says_the_states_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed(monkeypatch, {"stage": TITLES[1]})[:2] == [Stage(TITLES[0], "done"), Stage(TITLES[1], "running")]
    assert {stage.state for stage in listed(monkeypatch, {})} == {"waiting"}


def test_an_early_end_stops_at_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = listed(monkeypatch, {"stage": TITLES[1]}, status="failed")
    assert [stage.state for stage in stages[:3]] == ["done", "stopped", "not reached"]


def test_a_finished_analysis_has_the_times_that_were_measured() -> None:
    name = next(iter(stage_titles()))
    report = Report(data={"run": {"seconds": {name: 75.2}}})
    stages = stage_list(None, Analysis(status="completed", report=report))
    assert stages[0] == Stage(TITLES[0], "done", "1 min 15 s")
    assert stages[1] == Stage(TITLES[1], "done")


def test_spans_leave_out_what_is_not_known() -> None:
    assert spans([["a", None], ["b", 2.0], ["c", 5.0]]) == {"b": 3.0}
    assert (span(None), span(0), span(9.96), span(60)) == ("", "<0.1 s", "10.0 s", "1 min 0 s")
