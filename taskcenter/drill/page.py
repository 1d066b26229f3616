"""What a person is shown of a drill: lines on the terminal, JSON, or one HTML file to hand on."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import django
from django.template.loader import render_to_string

from taskcenter.conf import get_settings

from .crew import SLOTS, WORKERS
from .plugs import Pull
from .verdict import BROKEN, HELD, Verdict

__all__ = ["FORMATS", "Drilled", "as_html", "as_json", "as_text", "outcome", "scene_text"]

SHOWN = 10
"""Of what broke one promise."""
WORDS = {
    HELD: "Everything held.",
    BROKEN: "A promise was broken.",
    "not shown": "Not shown: a plug did not come out, so the drill proves nothing.",
}


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill that is over."""

    seed: int
    began: datetime
    took: float
    tasks: int
    servers: str
    verdict: Verdict

    @property
    def title(self) -> str:
        return WORDS[self.verdict.word]


def scene_text() -> str:
    """What is played on which stage, and what is compressed; said before and after."""
    ours = get_settings()
    return (
        f"{WORKERS} workers of {SLOTS} slots, a scheduler, a PostgreSQL and a Redis (Valkey) of their own, in a "
        "private folder; your project's code, database and Redis have no part in it. Times are compressed, so that it "
        f"takes a minute: a heartbeat every {ours.HEARTBEAT:g} s instead of 10, dead after {ours.STALE_AFTER:g} s of "
        "silence instead of 30. With the defaults what waits for that silence takes ten times as long."
    )


def outcome(told: Pull) -> str:
    """How a pull ended, as a line."""
    if not told.fired:
        return "it did not come out, or hit nothing"
    if told.right_after is None:
        return "NOT put right in time"
    return f"put right after {told.right_after:.1f} s: {told.came}"


def as_text(drilled: Drilled) -> str:
    return "\n".join(_lines(drilled))


def _lines(drilled: Drilled) -> Iterator[str]:
    yield ""
    for finding in drilled.verdict.findings:
        yield f"  {'held  ' if finding.held else 'BROKEN'}  {finding.promise}"
        yield f"          {finding.seen}"
        yield from (f"            {text}" for text in finding.broken_by[:SHOWN])
        if len(finding.broken_by) > SHOWN:
            yield f"            and {len(finding.broken_by) - SHOWN} more"
    for plug in drilled.verdict.not_shown:
        yield f"  not shown  {plug}"
    yield ""
    yield f"{drilled.title} {drilled.tasks:,} tasks, {len(drilled.verdict.pulls)} plugs, {drilled.took:.0f} s."
    yield f"The same load and plugs again: manage.py drill --seed {drilled.seed}"


def as_json(drilled: Drilled) -> str:
    verdict = drilled.verdict
    pulls = [{key: value for key, value in asdict(one).items() if key != "since"} for one in verdict.pulls]
    findings = [
        {"promise": one.promise, "held": one.held, "seen": one.seen, "broken_by": one.broken_by}
        for one in verdict.findings
    ]
    facts: dict[str, Any] = {
        "verdict": verdict.word,
        "exit_code": verdict.exit_code,
        "seed": drilled.seed,
        "began": drilled.began.isoformat(),
        "seconds": round(drilled.took, 1),
        "tasks": drilled.tasks,
        "stage": scene_text(),
        "versions": versions(drilled),
        "plugs": pulls,
        "promises": findings,
    }
    return json.dumps(facts, indent=2)


def as_html(drilled: Drilled) -> str:
    """One file that needs nothing else: no script, no address."""
    context = {
        "drilled": drilled,
        "scene": scene_text(),
        "versions": versions(drilled),
        "pulls": [(one, outcome(one), one.fired and one.right_after is not None) for one in drilled.verdict.pulls],
        "shown": SHOWN,
    }
    return render_to_string("taskcenter/drill.html", context)


FORMATS = {"text": as_text, "json": as_json, "html": as_html}


def versions(drilled: Drilled) -> dict[str, str]:
    found = {"Python": platform.python_version(), "Django": django.get_version()}
    for name in ("django-taskcenter", "rq"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout
            continue
    return {**found, "servers": drilled.servers}
