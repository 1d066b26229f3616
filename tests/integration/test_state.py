"""The state of tasks as JSON, as pages without a socket ask for it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from taskcenter.models import Task
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
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert [(one["id"], one["title"], one["can"]) for one in told["tasks"]] == [(str(mine.id), "Sales", ["cancel"])]
    assert told["denied"] == [str(hers.id), str(nowhere)]


def test_nobody_in_particular_is_denied_everything(client: Any) -> None:
    task = make_task(State.PROCESSING)
    answer = ask(client, task.id)
    assert answer.status_code == 200
    assert answer.json() == {"tasks": [], "denied": [str(task.id)], "next": 15}


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
