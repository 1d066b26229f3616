"""`manage.py check_tasks`: what a deploy would leave lying or break, and its exit codes for CI."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter.definitions import TaskDefinition
from taskcenter.management import trial
from taskcenter.models import Duty, Task
from taskcenter.scheduler import DUTIES
from taskcenter.states import FINAL, State
from tests.factories import make_task
from tests.integration.test_claim_plan import walk
from tests.ledger.tasks import add, echo, fragile, hold, plain
from tests.processes import Process

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "shop.tasks.send"
WAITING = (State.BLOCKED, State.SCHEDULED, State.PENDING)


def waiting(definition: str | TaskDefinition = add, *args: Any, **fields: Any) -> Task:
    name = definition if isinstance(definition, str) else definition.module_path
    return make_task(**{"definition": name, "args": list(args), "kwargs": {}, **fields})


def checked(*arguments: str) -> tuple[int, str]:
    """Exit code and output."""
    out = io.StringIO()
    try:
        call_command("check_tasks", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def problems(*arguments: str) -> list[dict[str, Any]]:
    code, text = checked("--format", "json", *arguments)
    found, _ = json.JSONDecoder().raw_decode(text)
    assert (found["ok"], bool(found["problems"])) == ((True, False) if code == 0 else (False, True))
    return list(found["problems"])


def test_an_empty_table_is_fine() -> None:
    assert checked() == (
        0,
        "0 waiting tasks of 0 definitions; the arguments of 0 were looked at.\nAll of them fit this code.\n",
    )


def test_what_fits_is_fine() -> None:
    waiting(add, 1, 2)
    waiting(add, 1, kwargs={"b": 2}, state=State.SCHEDULED)
    waiting(echo, *range(20), kwargs={"any": 1, "thing": 2}, state=State.BLOCKED)
    waiting(hold)
    waiting(fragile, 3, queue="analysis")
    code, text = checked()
    assert code == 0
    assert text.startswith("5 waiting tasks of 4 definitions; the arguments of 5 were looked at.")


def test_only_what_waits_is_looked_at() -> None:
    for state in (State.PROCESSING, *FINAL):
        waiting(GONE, state=state)
    assert checked()[0] == 0


def test_a_definition_that_is_gone() -> None:
    old = timezone.now() - timedelta(days=3)
    for state in WAITING:
        waiting(GONE, state=state, created_at=old if state == State.BLOCKED else timezone.now())
    waiting(GONE, queue="analysis")
    [problem] = problems()
    assert problem["code"] == "missing_definition"
    assert problem["data"]["count"] == 4
    assert problem["data"]["queues"] == {"default": 3, "analysis": 1}
    assert problem["data"]["states"] == {"blocked": 1, "scheduled": 1, "pending": 2}
    assert problem["data"]["oldest"] == old.isoformat()
    assert problem["text"].startswith(f"4 waiting tasks name {GONE}, which this code does not define: 3 of default,")
    assert "Keep a task function of that name" in problem["fix"]
    assert "no worker has known it for 1 h" in problem["fix"]


def test_a_definition_that_may_have_moved_is_pointed_at() -> None:
    waiting("shop.tasks.plain")
    [problem] = problems()
    assert problem["data"]["moved_to"] == [plain.module_path]
    assert f"It does define {plain.module_path}." in problem["text"]


@pytest.mark.parametrize(
    ("definition", "args", "kwargs", "error"),
    [
        (add, [1], {}, "missing a required argument: 'b'"),
        (add, [1, 2, 3], {}, "too many positional arguments"),
        (add, [1, 2], {"c": 3}, "got an unexpected keyword argument 'c'"),
        (add, [1], {"a": 1, "b": 2}, "multiple values for argument 'a'"),
        (fragile, [], {}, "missing a required argument: 'crashes'"),
        (hold, [1], {}, "too many positional arguments"),
        (hold, [], {"context": 1}, "multiple values for argument 'context'"),
    ],
)
def test_arguments_that_fit_no_more(definition: TaskDefinition, args: list[Any], kwargs: Any, error: str) -> None:
    fine = [1] if definition is fragile else [1, 2] if definition is add else []
    waiting(definition, *fine)
    bad = waiting(definition, *args, kwargs=kwargs)
    [problem] = problems()
    assert problem["code"] == "signature_changed"
    assert problem["data"]["error"] == error
    assert (problem["data"]["count"], problem["data"]["looked_at"]) == (1, 2)
    assert problem["data"]["examples"] == [str(bad.pk)]
    assert problem["data"]["takes_context"] is definition.takes_context
    assert f"do not fit {definition.module_path}(" in problem["text"]


def test_a_function_that_takes_a_context_now_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting(add, 1, 2)
    monkeypatch.setattr(TaskDefinition, "takes_context", True)
    [problem] = problems()
    assert problem["data"]["error"] == "too many positional arguments"


def test_different_complaints_are_counted_apart_and_their_number_is_bounded() -> None:
    for number in range(trial.COMPLAINTS + 5):
        for _ in range(2):
            waiting(add, 1, 2, kwargs={f"key{number:02}": 1})
    found = problems()
    assert len(found) == trial.COMPLAINTS + 1
    assert sum(problem["data"]["count"] for problem in found) == 2 * (trial.COMPLAINTS + 5)
    assert found[-1]["data"]["error"] == "other arguments that do not fit"


def test_more_shapes_than_are_remembered_are_judged_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SHAPES", 1)
    for more in ({}, {"c": 2}, {"d": 3}, {"c": 4}):
        waiting(add, 1, 2, kwargs=more)
    assert [problem["data"]["count"] for problem in problems()] == [2, 1]


def test_a_sample_takes_the_oldest_and_the_newest_and_says_how_many() -> None:
    oldest, *_, newest = [waiting(add, *([1] if number in {0, 59} else [1, 2])) for number in range(60)]
    code, text = checked("--sample", "10")
    assert code == 1
    assert text.startswith("60 waiting tasks of one definition; the arguments of 10 were looked at.")
    assert "2 of 10 looked at (60 wait) do not fit" in text
    [problem] = problems("--sample", "10")
    assert problem["data"]["examples"] == [str(oldest.pk), str(newest.pk)]
    assert (problem["data"]["looked_at"], problem["data"]["waiting"]) == (10, 60)


def test_each_state_gets_its_share_of_the_sample() -> None:
    for _ in range(40):
        waiting(add, 1, 2)
    lone = waiting(add, 1, state=State.SCHEDULED)
    [problem] = problems("--sample", "10")
    assert problem["data"]["examples"] == [str(lone.pk)]


def test_a_queue_that_no_setting_names() -> None:
    waiting(add, 1, 2, queue="old")
    [problem] = problems()
    assert problem["code"] == "unknown_queue"
    assert problem["data"]["definitions"] == {add.module_path: 1}
    text = "One waiting task names queue old, which RQ_QUEUES does not name (it names: analysis, default)"
    assert problem["text"].startswith(text)
    assert "Add 'old' to RQ_QUEUES" in problem["fix"]


def test_a_duty_that_this_code_does_not_have() -> None:
    for name in DUTIES:
        Duty.objects.create(name=name)
    assert problems() == []
    Duty.objects.create(name="invoices")
    [problem] = problems()
    assert (problem["code"], problem["data"]) == ("unknown_duty", {"duty": "invoices"})


def test_one_queue_alone() -> None:
    waiting(GONE, queue="analysis")
    waiting(add, 1, queue="old")
    Duty.objects.create(name="invoices")
    assert problems("--queue", "default") == []
    assert [problem["code"] for problem in problems("--queue", "analysis")] == ["missing_definition"]
    assert [problem["code"] for problem in problems("--queue", "old")] == ["signature_changed", "unknown_queue"]


def test_problems_end_with_one_and_are_numbered_with_what_to_do() -> None:
    waiting(GONE)
    waiting(add, 1)
    code, text = checked()
    assert code == 1
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2"]
    assert text.count("   Do: ") == 2
    assert text.endswith("2 problems found.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--queue", "nowhere"), "There is no queue 'nowhere', and no task waits on it. RQ_QUEUES names: "),
        (("--queue", ""), "There is no queue ''"),
        (("--sample", "0"), "--sample must be at least 1."),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two(arguments: tuple[str, ...], sentence: str) -> None:
    code, text = checked(*arguments)
    assert code == 2
    assert sentence in text


def test_as_a_process_its_exit_codes_are_those_that_ci_sees(process: Callable[..., Process], tmp_path: Path) -> None:
    waiting(add, 1, 2)
    fine = process("check_tasks")
    assert fine.wait(60) == 0, fine.output()
    waiting(GONE)
    found, wrong = process("check_tasks", "--format", "json"), process("check_tasks", "--format", "xml")
    empty = process("check_tasks", DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3")
    assert [one.wait(60) for one in (found, wrong, empty)] == [1, 2, 2]
    assert '"missing_definition"' in found.output()
    assert "was manage.py migrate run?" in empty.output()
    assert "Traceback" not in found.output() + wrong.output() + empty.output()


def test_it_needs_no_redis_and_no_migration_of_the_new_code(process: Callable[..., Process]) -> None:
    """Before a deploy the database is as the old code has it: only the columns asked for must be there."""
    waiting(add, 1, 2)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'taskcenter' AND name <> '0001_initial'")
        try:
            started = process("check_tasks", REDIS_URL="redis://127.0.0.1:1/0")
            assert started.wait(60) == 0, started.output()
        finally:
            call_command("migrate", "taskcenter", fake=True, verbosity=0)


def test_a_long_line_is_read_in_bounded_memory_and_few_statements() -> None:
    kwargs = {"b": 2, "blob": "x" * 20_000}
    name = add.module_path
    Task.objects.bulk_create((Task(definition=name, args=[1], kwargs=kwargs) for _ in range(2000)), batch_size=100)
    tracemalloc.start()
    try:
        with CaptureQueriesContext(connection) as captured:
            [problem] = problems()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert problem["data"]["count"] == 2000
    assert len(captured) <= 6
    assert peak < 20_000_000, "all rows at once take more than 40 MB"


def test_a_sample_walks_the_index_of_its_definition() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's planner")
    model = waiting(add, 1, 2)
    names = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields if field.column != "id")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO taskcenter_task (id, {names}) "  # noqa: S608 names of our own columns
            f"SELECT gen_random_uuid(), {names} FROM taskcenter_task, generate_series(1, 50000)"
        )
        cursor.execute("ANALYZE taskcenter_task")  # else the UPDATE may be planned for a table of one row
        cursor.execute(
            "UPDATE taskcenter_task SET state = 'completed', finished_at = now() "
            "WHERE id IN (SELECT id FROM taskcenter_task ORDER BY id LIMIT 40000)"
        )
        cursor.execute("ANALYZE taskcenter_task")
    with CaptureQueriesContext(connection) as captured:
        assert problems("--sample", "100") == []
    samples = [query["sql"] for query in captured.captured_queries if "LIMIT" in query["sql"]]
    assert len(samples) == 2
    for sql in samples:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql[sql.index("SELECT") :])
            [[plan]] = cursor.fetchall()
        for node in walk(plan[0]["Plan"]):
            assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 100, sql
