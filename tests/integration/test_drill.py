"""`manage.py drill` for real: it plays, holds, tells, and leaves nothing; brings servers of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from taskcenter.drill.plugs import PLUGS
from tests.processes import Process, manage, wait_for

# Addresses where nobody answers: a drill that looked for the site's own servers would not come far.
NOWHERE = {
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PGHOST": "127.0.0.1",
    "PGPORT": "1",
    "DJANGO_SETTINGS_MODULE": "analysis.settings",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """Where the drill makes its folder: short, and open to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="tc-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def play(tmp_path: Path, place: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*options: str, **environment: str) -> Process:
        environment = {**NOWHERE, "TMPDIR": str(place), **environment}
        started.append(Process(manage("drill", *options), log=tmp_path / "drill.log", **environment))
        return started[-1]

    yield start
    for one in started:
        one.kill9()


def living(place: Path) -> list[str]:
    """Processes that have to do with a drill in this place."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.environ().get("TMPDIR", "")]
            if str(place) in " ".join(told) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(told))
        except psutil.Error:
            continue
    return found


def test_a_short_drill_holds_and_leaves_nothing(play: Callable[..., Process], place: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.json"
    drill = play("--seconds", "5", "--format", "json", "--output", str(page))
    status = drill.wait(400)
    assert status == 0, drill.output()

    told = json.loads(page.read_text())
    assert told["verdict"] == "held"
    assert {one["plug"] for one in told["plugs"] if one["fired"] and one["right_after"] is not None} == set(PLUGS)
    assert len(told["promises"]) == 7
    assert all(one["held"] for one in told["promises"])
    assert told["tasks"] > 100
    assert "Everything held." in drill.output()
    assert [line for line in drill.output().splitlines() if re.search(r"\b1/7 ", line)], "it tells on the way"
    assert not list(place.iterdir())
    assert not living(place)


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "Starting a PostgreSQL"), (signal.SIGTERM, "private folder"), (signal.SIGINT, r"1/7 ")],
)
def test_one_that_is_interrupted_puts_everything_away(
    play: Callable[..., Process], place: Path, number: signal.Signals, moment: str
) -> None:
    drill = play("--seconds", "5")
    drill.wait_for_line(moment, 60)
    os.killpg(drill.pid, number)  # as a terminal does
    os.killpg(drill.pid, number)  # one who is impatient
    assert drill.wait(60) == 130
    assert "Interrupted" in drill.output()
    assert "Traceback" not in drill.output()
    assert not list(place.iterdir())
    assert not living(place)


def test_one_that_is_killed_leaves_no_process(play: Callable[..., Process], place: Path) -> None:
    drill = play("--seconds", "5")
    drill.wait_for_line(r"1/7 ", 60)
    assert living(place)
    os.kill(drill.pid, signal.SIGKILL)
    wait_for(lambda: not living(place), 30, "all that it had started has ended")


def test_one_that_cannot_start_says_why_and_ends_with_2(play: Callable[..., Process], place: Path) -> None:
    far = place / ("x" * 120)  # longer than the path of a socket may be
    far.mkdir(mode=0o711)
    drill = play(TMPDIR=str(far))
    assert drill.wait(60) == 2
    assert "The drill could not be played" in drill.output()
    assert "Traceback" not in drill.output()
    assert not list(far.iterdir())
