"""The state of tasks as JSON, as pages without a socket ask for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from taskcenter.models import Task
from taskcenter.passes import make_pass
from taskcenter.states import State
from tests.factories import make_task, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def ask(client: Any, *ids: Any) -> Any:
    return client.get("/tasks/state/", {"ids": ",".join(map(str, ids))})


def test_own_tasks_are_told_and_all_others_denied(client: Any) -> None:
    ann = make_user()
    mine = make_task(State.PROCESSING, owner=ann, title="Sales")
    hers, nowhere = make_task(owner=make_user()), uuid4()
    client.force_login(ann)
    answer = ask(client, hers.id, mine.id, nowhere)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    told = answer.json()
    assert [(one["id"], one["title"], one["can"]) for one in told["tasks"]] == [(str(mine.id), "Sales", ["cancel"])]
    assert told["denied"] == [str(hers.id), str(nowhere)]


def test_nobody_in_particular_is_denied_everything(client: Any) -> None:
    task = make_task(State.PROCESSING)
    answer = ask(client, task.id)
    assert answer.status_code == 200
    assert answer.json() == {"tasks": [], "same": [], "denied": [str(task.id)], "next": 15}


@pytest.mark.parametrize(
    ("states", "seconds"),
    [
        ([State.COMPLETED, State.PROCESSING, State.PENDING], 1),
        ([State.SCHEDULED, State.FAILED], 5),
        ([State.COMPLETED], 15),
    ],
)
def test_next_says_when_to_ask_again(client: Any, states: list[str], seconds: int) -> None:
    user = make_user()
    client.force_login(user)
    tasks = [make_task(state, owner=user) for state in states]
    assert ask(client, *(task.id for task in tasks)).json()["next"] == seconds


@pytest.mark.parametrize("ids", ["", ",", "x", f"{UUID(int=7)},x", "0; DROP TABLE"])
def test_bad_ids_get_a_sentence_and_400(client: Any, ids: str) -> None:
    answer = client.get("/tasks/state/", {"ids": ids})
    assert answer.status_code == 400
    assert answer.json()["error"].endswith((".", ">"))


def test_201_ids_are_too_many_and_200_cost_few_queries(client: Any, django_assert_max_num_queries: Any) -> None:
    user = make_user()
    client.force_login(user)
    tasks = Task.objects.bulk_create([Task(definition="x", owner=user) for _ in range(201)])
    assert ask(client, *(task.id for task in tasks)).status_code == 400
    # Session, user, two of permissions, tasks, reports.
    with django_assert_max_num_queries(6):
        answer = ask(client, *(task.id for task in tasks[:200]))
    assert len(answer.json()["tasks"]) == 200


def test_it_is_read_only(client: Any) -> None:
    assert client.post("/tasks/state/").status_code == 405


def test_an_unchanged_answer_has_no_body(client: Any) -> None:
    user = make_user()
    client.force_login(user)
    task = make_task(State.PROCESSING, owner=user)
    first = ask(client, task.id)
    again = client.get("/tasks/state/", {"ids": str(task.id)}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Task.objects.filter(id=task.id).update(rev=9)
    assert client.get("/tasks/state/", {"ids": str(task.id)}, headers={"If-None-Match": first.headers["ETag"]}).json()
    assert {"Cookie", "X-Task-Token"} <= set(first.headers["Vary"].split(", "))


def test_what_waits_or_has_ended_is_not_told_twice(client: Any, django_assert_max_num_queries: Any) -> None:
    user = make_user()
    client.force_login(user)
    waiting, ended, running = (make_task(state, owner=user) for state in ("pending", "completed", "processing"))
    moved, hers = make_task(owner=user), make_task(owner=make_user())
    Task.objects.filter(id=moved.id).update(rev=2)
    asked = {"ids": ",".join(str(task.id) for task in (waiting, ended, running, moved, hers)), "rev": "1,1,1,1,1"}
    told = client.get("/tasks/state/", asked).json()
    assert told["same"] == [str(waiting.id), str(ended.id)]
    assert [one["id"] for one in told["tasks"]] == [str(running.id), str(moved.id)]
    assert (told["denied"], told["next"]) == ([str(hers.id)], 1)
    # Session, user, revs, rights of two kinds, rows.
    with django_assert_max_num_queries(6):
        told = client.get("/tasks/state/", {"ids": f"{waiting.id},{ended.id}", "rev": "1,1"}).json()
    assert (len(told["same"]), told["next"]) == (2, 5)


@pytest.mark.parametrize("revs", ["", "x", "-1", "1.5,", ",,,,,", "²"])
def test_revs_that_are_none_mean_that_nothing_is_known(client: Any, revs: str) -> None:
    user = make_user()
    client.force_login(user)
    task = make_task(owner=user)
    assert len(client.get("/tasks/state/", {"ids": str(task.id), "rev": revs}).json()["tasks"]) == 1


def test_a_pass_in_the_header_opens_its_task_to_look_at(client: Any) -> None:
    task, other = (make_task(State.PROCESSING, owner=make_user()) for _ in range(2))
    asked = {"ids": f"{task.id},{other.id}"}
    told = client.get("/tasks/state/", asked, headers={"X-Task-Token": f"x,{make_pass(task)}"}).json()
    assert [(one["id"], one["can"], one["url"]) for one in told["tasks"]] == [(str(task.id), [], None)]
    assert told["denied"] == [str(other.id)]
    # Never from the address, which ends in logs.
    assert client.get("/tasks/state/", {**asked, "token": make_pass(task)}).json()["tasks"] == []
