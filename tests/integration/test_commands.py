"""Wrong arguments and missing servers: one clear sentence, and an exit code that is not zero."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from taskcenter.models import Duty, Task
from taskcenter.states import State
from tests.factories import make_task, make_worker
from tests.processes import Process
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("rqworker", "nowhere"), r"There is no queue 'nowhere'. RQ_QUEUES names: analysis, default\."),
        (("rqworker", "--concurrency", "0"), r"--concurrency must be at least 1\."),
        (("rqworker", "--concurrency", "many"), "--concurrency: invalid int value"),
        (("rqworker", "--grace", "-1"), r"--grace cannot be negative\."),
        (("rqscheduler", "--interval", "0"), r"--interval must be at least 1 second\."),
        (("rqscheduler", "--queue", "nowhere"), "There is no queue 'nowhere'"),
        (("recover_tasks", "--task", "17"), r"'17' is not a task id"),
        (("recover_tasks", "--task", str(uuid.UUID(int=7))), f"There is no task {uuid.UUID(int=7)}"),
        (("recover_tasks", "--queue", "nowhere"), "There is no queue 'nowhere'"),
        (("recover_tasks", "--format", "xml"), "invalid choice: 'xml'"),
        (("recover_tasks", "--older-than", "nan"), "'nan' is not a number of seconds"),
        (("recover_tasks", "--older-than", "-5"), "'-5' is not a number of seconds"),
        (("recover_tasks", "--older-than", "1e12"), "before there was a calendar"),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_answered_with_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command(*arguments)


@pytest.mark.parametrize("command", ["rqworker", "rqscheduler"])
def test_without_any_queue_the_setting_is_named(settings: Any, command: str) -> None:
    settings.RQ_QUEUES = {}
    with pytest.raises(CommandError, match="RQ_QUEUES, or REDIS_URL"):
        call_command(command)


@pytest.mark.parametrize("command", ["rqworker", "rqscheduler", "recover_tasks"])
def test_a_database_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DatabaseError("connection refused\n")

    monkeypatch.setattr(MigrationExecutor, "__init__", refuse)
    with pytest.raises(CommandError, match=r"The database does not answer: connection refused$"):
        call_command(command)


def one_sentence(process: Process) -> str:
    """The last line that a command printed; it must have ended badly, and without a traceback."""
    assert process.wait(60) == 1
    assert "Traceback" not in process.output()
    return process.output().strip().splitlines()[-1]


def test_a_worker_without_redis_ends_with_a_sentence(process: Callable[..., Process]) -> None:
    started = process("rqworker", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    line = one_sentence(started)
    assert line.startswith("CommandError: Redis does not answer for queue 'default'")
    assert line.endswith("Start it, or set REDIS_URL.")


@pytest.mark.parametrize("command", ["rqworker", "rqscheduler", "recover_tasks"])
def test_a_database_without_our_tables_ends_with_a_sentence(
    process: Callable[..., Process], tmp_path: Path, command: str
) -> None:
    started = process(command, DATABASE_URL=f"sqlite:///{tmp_path}/new.sqlite3")
    wanted = r"CommandError: The database lacks [1-9]\d* migration\(s\)\. Run: manage\.py migrate"
    assert re.fullmatch(wanted, one_sentence(started))


def test_recover_tasks_says_when_there_is_nothing_to_do() -> None:
    make_task(State.PROCESSING, worker=make_worker())
    assert said("recover_tasks") == "No task is lost: every running task has a living worker.\n"


def test_a_dry_run_writes_nothing_and_the_real_one_does_what_it_said() -> None:
    task = make_task(State.PROCESSING, worker_id=None)
    dry = json.loads(said("recover_tasks", "--dry-run", "--format", "json"))
    assert [line["task"] for line in dry["tasks"]] == [str(task.id)]
    assert Task.objects.get(id=task.id).state == "processing"
    real = json.loads(said("recover_tasks", "--format", "json"))
    assert real["tasks"][0] == {**dry["tasks"][0], "text": real["tasks"][0]["text"]}
    assert Task.objects.get(id=task.id).state == "pending"


def test_recover_tasks_narrows_by_queue_age_and_task() -> None:
    here, there = (make_task(State.PROCESSING, worker_id=None, queue=queue) for queue in ("default", "analysis"))
    assert str(there.id) in said("recover_tasks", "--queue", "analysis", "--dry-run")
    assert "No task is lost" in said("recover_tasks", "--older-than", "9999", "--dry-run")
    assert "Would be recovered" in said("recover_tasks", "--task", str(here.id), "--dry-run")
    said("recover_tasks", "--task", str(here.id), "--reason", "The host is gone")
    assert here.events.get(kind="recovered").text == "The host is gone"
    states = dict(Task.objects.values_list("queue", "state"))
    assert states == {"default": "pending", "analysis": "processing"}


def test_recover_tasks_names_a_thousand_and_counts_the_others() -> None:
    rows = [{"definition": "tests.tasks.sample", "state": "processing", "attempt": 1, "attempted_at": timezone.now()}]
    Task.objects.bulk_create([Task(**row) for row in rows * 1003], batch_size=500)
    dry = said("recover_tasks", "--dry-run").splitlines()
    assert len(dry) == 1002
    assert dry[-2:] == ["… and 3 more.", "Would recover 1,003: 1,003 pending."]
    assert said("recover_tasks").splitlines()[-2:] == ["… and 3 more.", "Recovered 1,003: 1,003 pending."]


def test_recover_tasks_says_beforehand_what_would_become_of_each() -> None:
    make_task(State.PROCESSING, worker_id=None, max_crashes=0)
    assert said("recover_tasks", "--dry-run").splitlines()[0].endswith("sample, attempt 1: failed.")
    said("recover_tasks")
    assert Task.objects.get().state == "failed"


def test_recover_tasks_ends_badly_when_a_task_could_not_be_recovered() -> None:
    good = make_task(State.PROCESSING, worker_id=None)
    make_task(State.PROCESSING, worker_id=None, crashes=1)  # more crashes than attempts: the database refuses
    with pytest.raises(CommandError, match=r"^1 tasks could not be recovered; the log says why\.$"):
        said("recover_tasks")
    assert Task.objects.get(id=good.id).state == "pending"


def test_a_scheduler_asked_for_one_look_says_what_it_did() -> None:
    assert said("rqscheduler", "--once") == "Done: dispatch, clean-up, roll-up.\n"
    assert Duty.objects.filter(last_finished_at__isnull=False).count() == 3
