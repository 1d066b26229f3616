"""Order, progress, cancelling, determinism, added methods."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import duckdb
import pytest

import analysis
from analysis.methods import Context, Finding, describe, method, registered, stages, unregister
from tests.unit.analysis.methods.conftest import Analyse

PENGUINS = Path(analysis.__file__).parent / "data" / "penguins.csv"
ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"


class Cancelled(BaseException):
    """What a caller raises to stop."""


@pytest.fixture
def added() -> Iterator[Callable[..., object]]:
    """Registers a method under a name of its own and takes it out again."""
    yield method("added", title="Added", weight=5)
    unregister("added")


def test_stages_come_in_order_with_methods_before_the_words() -> None:
    names = [stage.name for stage in stages()]
    assert names[:4] == ["validate", "load", "profile", "quality"]
    assert names[-2:] == ["narrate", "render"]
    assert "correlation" in names[4:-2]


def test_progress_never_goes_back_and_ends_at_one(analyse: Analyse) -> None:
    seen: list[tuple[str, float]] = []
    analyse(PENGUINS, on_progress=lambda stage, fraction, _message: seen.append((stage, fraction)))
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert list(dict.fromkeys(stage for stage, _ in seen)) == [stage.name for stage in stages()]


def test_the_same_file_gives_the_same_bytes(analyse: Analyse) -> None:
    first, second = analyse(PENGUINS), analyse(PENGUINS)
    assert first.stable_json() == second.stable_json()


def test_the_report_is_plain_json_without_the_machine_in_it(analyse: Analyse, tmp_path: Path) -> None:
    text = json.dumps(analyse(PENGUINS).as_dict(), allow_nan=False)
    assert str(tmp_path) not in text
    assert "/source" not in text


@pytest.mark.parametrize("stage", [stage.name for stage in stages()])
def test_cancelling_stops_in_every_stage_and_leaves_nothing(
    analyse: Analyse, leftovers: Callable[[], list[str]], stage: str
) -> None:
    reached: list[str] = []

    def check() -> None:
        if reached and reached[-1] == stage:
            raise Cancelled

    with pytest.raises(Cancelled):
        analyse(PENGUINS, on_progress=lambda name, *_: reached.append(name), check_cancelled=check)
    assert leftovers() == []


def test_an_ordinary_exception_from_the_caller_goes_through_a_method(analyse: Analyse) -> None:
    reached: list[str] = []

    def check() -> None:
        if "quality" in reached:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        analyse(PENGUINS, on_progress=lambda name, *_: reached.append(name), check_cancelled=check)


def test_a_long_query_is_interrupted(analyse: Analyse, added: Callable[..., object]) -> None:
    asked = Event()

    def check() -> None:
        if asked.is_set():
            raise Cancelled

    def endless(context: Context) -> list[Finding]:
        asked.set()
        context.con.execute("SELECT 1")
        context.con.execute(ENDLESS).fetchall()
        return []

    added(endless)
    with pytest.raises(Cancelled):
        analyse(PENGUINS, check_cancelled=check, cancelled=asked.is_set)


def test_an_added_method_takes_part(analyse: Analyse, added: Callable[..., object]) -> None:
    def count(context: Context) -> list[Finding]:
        context.progress(0.5, "Counting")
        rows = context.query("SELECT count(*) FROM data")[0][0]
        return [describe("count", "{rows:row|rows}", "There are {rows}.", {"rows": rows}, method="Counted.", n=rows)]

    added(count)
    report = analyse(PENGUINS)
    assert [f["sentence"] for f in report.findings if f["kind"] == "count"] == ["There are 344."]
    assert {"name": "added", "title": "Added"} in report.data["stages"]


def test_a_method_that_breaks_leaves_a_note_and_a_report(analyse: Analyse, added: Callable[..., object]) -> None:
    def broken(context: Context) -> list[Finding]:
        raise ZeroDivisionError

    added(broken)
    assert analyse(PENGUINS).data["notes"] == ["The check “added” could not run (ZeroDivisionError)."]


def test_a_method_that_does_not_apply_is_named_as_not_checked(analyse: Analyse) -> None:
    report = analyse("a,b\n" + "x,y\nz,w\n" * 20)
    assert "What moves together: does not apply to this file." in report.data["not_checked"]


def test_a_method_needs_a_weight_above_zero() -> None:
    with pytest.raises(ValueError, match="above zero"):
        method("weightless", title="Weightless", weight=0)
    assert "weightless" not in [added.name for added in registered()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY data TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "INSTALL httpfs",
        "SET memory_limit = '10GB'",
    ],
)
def test_the_database_is_locked_to_its_folder(analyse: Analyse, added: Callable[..., object], sql: str) -> None:
    errors: list[Exception] = []

    def curious(context: Context) -> list[Finding]:
        with pytest.raises(duckdb.Error) as refused:
            context.query(sql)
        errors.append(refused.value)
        return []

    added(curious)
    analyse(PENGUINS)
    assert len(errors) == 1
