"""`manage.py explain_task` and the section on a task's page in the admin."""

from __future__ import annotations

import io
import json
import re
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from taskcenter import definitions, lifecycle
from taskcenter.explain import explain
from taskcenter.models import Queue, Task, Worker
from taskcenter.pointers import pointer_id
from taskcenter.states import FINAL, LIVE, State
from tests.factories import make_staff, make_task, make_worker
from tests.ledger.tasks import add

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
QUESTION = "Why is it not running?"


@pytest.fixture(autouse=True)
def _code_that_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code here defines what the factory's tasks name."""
    monkeypatch.setitem(definitions._registry, "tests.tasks.sample", add)


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("explain_task", *arguments, stdout=out)
    return out.getvalue()


# The command.


def test_it_says_each_reason_and_what_to_do() -> None:
    Queue.objects.pause("default", "stocktaking")
    task = make_task(title="Sales\x1b[31m 2026")
    text = said(str(task.pk))
    assert text.startswith(f"Task {task.pk} (Sales [31m 2026) is pending.\n1. Queue default has been paused since ")
    assert "   Do: Resume it: manage.py resume_queue default" in text
    assert "\n2. No living worker serves queue default" in text


def test_json_holds_the_same() -> None:
    task = make_task()
    found = json.loads(said(str(task.pk), "--format", "json"))
    assert found == explain(task).as_dict()
    assert found["task"] == str(task.pk)
    assert [reason["code"] for reason in found["reasons"]] == ["no_worker"]


@pytest.mark.parametrize("state", State)
def test_every_state_has_an_answer(state: State) -> None:
    task = make_task(state)
    assert f"is {state}.\n1. " in said(str(task.pk))


def test_a_task_may_be_named_in_many_ways() -> None:
    task = make_task()
    make_task(id=uuid.UUID(int=5))
    full = str(task.pk)
    for name in (full, full.upper(), task.pk.hex, full[:8], full[:9], full[:20], f"{{{full}}}", pointer_id(task.pk)):
        assert f"Task {task.pk} " in said(name), name
    assert f"Task {uuid.UUID(int=5)} " in said("0000")


@pytest.mark.parametrize("name", ["x", "12g4", "-", "", "0" * 33, "task-", "../etc", "%"])
def test_what_is_no_id_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match=r"is not a task id or the start of one|Name a task by its id"):
        said(name)


def test_a_missing_task_is_said_with_an_empty_table_too() -> None:
    with pytest.raises(CommandError, match=f"There is no task {uuid.UUID(int=7)}; finished tasks are deleted"):
        said(str(uuid.UUID(int=7)))
    with pytest.raises(CommandError, match="There is no task whose id begins with '07'"):
        said("07")


def test_an_ambiguous_prefix_lists_what_it_fits() -> None:
    ids = [uuid.UUID(int=number) for number in range(1, 4)]
    for each in ids:
        make_task(id=each, title=f"Task number {each.int}")
    with pytest.raises(CommandError, match="is the start of several ids; give more of it") as caught:
        said("0000")
    listed = re.findall(r"^  (\S+)  pending  Task number \d$", str(caught.value), re.MULTILINE)
    assert listed == [str(each) for each in ids]
    assert "and more" not in str(caught.value)
    for number in range(4, 10):
        make_task(id=uuid.UUID(int=number))
    with pytest.raises(CommandError, match=r"and more$"):
        said("0000")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--definition", "a.b"),
        ("--unique-key", "k"),
        ("00", "--unique-key", "k"),
        ("00", "--definition", "a.b", "--unique-key", "k"),
    ],
    ids=" ".join,
)
def test_half_a_question_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Name a task by its id; or --definition and --unique-key"):
        said(*arguments)


def test_by_unique_key() -> None:
    holder = add.using(unique_key="nightly").enqueue(1, 2)
    text = said("--definition", add.module_path, "--unique-key", "nightly")
    assert f"1. Task add ({holder.id}) holds the unique key 'nightly' and is pending." in text
    assert "2. No living worker" in text
    free = said("--definition", add.module_path, "--unique-key", "weekly")
    assert free.startswith("1. No live task of tests.ledger.tasks.add holds the unique key 'weekly'")


def test_a_database_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DatabaseError("connection refused")

    monkeypatch.setattr(MigrationExecutor, "__init__", refuse)
    with pytest.raises(CommandError, match="The database does not answer: connection refused"):
        said("00")


# The page.


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_staff(permissions=("view_task",)))
    return client


def page(client: Client, task: Task) -> str:
    answer = client.get(reverse("admin:taskcenter_task_change", args=[task.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("state", sorted(LIVE))
def test_the_page_explains_what_is_not_running(viewer: Client, state: str) -> None:
    text = page(viewer, make_task(state))
    assert QUESTION in text


@pytest.mark.parametrize("state", sorted(FINAL))
def test_the_page_does_not_explain_what_is_over(viewer: Client, state: str) -> None:
    assert QUESTION not in page(viewer, make_task(state))


def test_the_page_does_not_explain_what_runs_until_somebody_asks_it_to_stop(viewer: Client) -> None:
    task = make_task(State.PROCESSING, worker=make_worker())
    assert QUESTION not in page(viewer, task)
    lifecycle.request_cancel(task.pk)
    Worker.objects.beat(task.worker_id)  # on a slow machine a page outlasts a heartbeat
    assert "Somebody asked it to stop" in page(viewer, task)


def test_hostile_text_is_shown_as_text(viewer: Client) -> None:
    Queue.objects.pause("default", HOSTILE)
    parent = make_task(State.FAILED, title=HOSTILE)
    waits = make_task(State.BLOCKED, parent=parent, waits_for=1)
    Queue.objects.limit("analysis", 1)
    worker = make_worker(queues=["analysis"], definitions=["tests.tasks.sample"], host=HOSTILE)
    make_task(State.PROCESSING, worker=worker, queue="analysis", title=HOSTILE)
    for task in (make_task(), waits, make_task(queue="analysis")):
        text = page(viewer, task)
        assert HOSTILE not in text
        assert "&lt;script&gt;alert" in text.partition(QUESTION)[2].partition("</section>")[0]


def only_mine(user: Any, queryset: Any) -> Any:
    return queryset.select_related("owner").filter(owner=user.pk)


def test_the_page_names_only_what_its_reader_may_see(client: Client, settings: Any) -> None:
    settings.TASKCENTER = {**settings.TASKCENTER, "VISIBLE": only_mine}
    reader = make_staff(permissions=("view_task",))
    client.force_login(reader)
    Queue.objects.limit("default", 1)
    worker = make_worker(definitions=["tests.tasks.sample"])
    make_task(State.PROCESSING, worker=worker, title="Payroll of the board")
    text = page(client, make_task(owner=reader))
    assert "lets one task run at once, and so many do." in text
    assert "Payroll" not in text


def test_the_page_stays_cheap(viewer: Client, django_assert_max_num_queries: Any) -> None:
    worker = make_worker(definitions=["tests.tasks.sample"], slots=1)
    make_task(State.PROCESSING, worker=worker)
    for _ in range(30):
        make_task()
    task = make_task()
    # The twelve and four of any page (see test_admin), and at most nine of explain().
    with django_assert_max_num_queries(12 + 4 + 9):
        assert "come first" in page(viewer, task)
