"""The JSON API: the same as the pages, for scripts; every status, and who may do what to which task."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from taskcenter.models import Task, TaskEvent
from taskcenter.progress import frames
from taskcenter.states import State
from tests.factories import make_event, make_report, make_staff, make_task, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def ann() -> Any:
    return make_user("ann")


@pytest.fixture
def script(client: Client, ann: Any) -> Client:
    """A script that sends Ann's session."""
    client.force_login(ann)
    return client


def at(name: str, *args: Any) -> str:
    return reverse(f"taskcenter:api-{name}", args=args)


def addresses(task: Task, report_pk: int) -> dict[str, str]:
    return {
        at("tasks"): "get",
        at("task", task.pk): "get",
        at("cancel", task.pk): "post",
        at("retry", task.pk): "post",
        at("report", report_pk): "get",
        at("nothing", "elsewhere/"): "get",
    }


def test_the_list_has_the_frames_of_ones_own_tasks_newest_first(script: Client, ann: Any) -> None:
    mine = [make_task(state, owner=ann) for state in (State.COMPLETED, State.PROCESSING)]
    make_task(owner=make_user())
    answer = script.get(at("tasks"))
    assert answer.status_code == 200
    assert answer.json() == {"tasks": frames(ann, Task.objects.filter(owner=ann).order_by("-id")), "next": None}
    assert [one["id"] for one in answer.json()["tasks"]] == [str(task.pk) for task in reversed(mine)]
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_following_next_leads_through_all_tasks_once(script: Client, ann: Any) -> None:
    made = [str(make_task(State.COMPLETED, owner=ann).pk) for _ in range(7)]
    seen, address = [], f"{at('tasks')}?limit=3&state=completed"
    while address:
        answer = script.get(address).json()
        seen += [one["id"] for one in answer["tasks"]]
        # A new task shifts nothing.
        make_task(State.COMPLETED, owner=ann)
        address = answer["next"]
    assert seen == made[::-1]


def test_the_list_is_narrowed_by_state_queue_definition_and_title(script: Client, ann: Any) -> None:
    wanted = make_task(State.FAILED, owner=ann, queue="analysis", definition="a.b", title="Sales of March")
    make_task(State.FAILED, owner=ann, queue="analysis", definition="a.b", title="Stock")
    make_task(State.FAILED, owner=ann, queue="analysis", definition="a.c", title="Sales")
    make_task(State.FAILED, owner=ann, queue="default", definition="a.b", title="Sales")
    make_task(State.PENDING, owner=ann, queue="analysis", definition="a.b", title="Sales")
    asked = {"state": "failed,cancelled", "queue": "analysis", "definition": "a.b", "q": "sales"}
    assert [one["id"] for one in script.get(at("tasks"), asked).json()["tasks"]] == [str(wanted.pk)]


@pytest.mark.parametrize("asked", [{"state": "gone"}, {"limit": "many"}, {"after": "x"}])
def test_400_says_what_was_wrong(script: Client, asked: dict[str, str]) -> None:
    answer = script.get(at("tasks"), asked)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert answer.json()["hint"]


def test_a_limit_is_kept_within_bounds(script: Client, ann: Any) -> None:
    for _ in range(2):
        make_task(owner=ann)
    assert len(script.get(at("tasks"), {"limit": "0"}).json()["tasks"]) == 1
    assert len(script.get(at("tasks"), {"limit": "1000000"}).json()["tasks"]) == 2


def test_many_tasks_cost_as_many_queries_as_few(script: Client, ann: Any, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        make_report(make_task(State.COMPLETED, owner=ann))
    with django_assert_max_num_queries(7):
        assert len(script.get(at("tasks"), {"limit": "100"}).json()["tasks"]) == 30


def test_a_task_is_its_frame_with_facts_history_and_report(script: Client, ann: Any) -> None:
    task = make_task(State.COMPLETED, owner=ann, tags=["monthly"])
    make_event(task, TaskEvent.Kind.LOG, "Begun", actor=ann, data={"traceback": "secret.py"})
    report = make_report(task)
    answer = script.get(at("task", task.pk))
    told = answer.json()
    assert told.items() >= frames(ann, Task.objects.all())[0].items()
    assert (told["queue"], told["definition"], told["tags"]) == ("default", task.definition, ["monthly"])
    assert datetime.fromisoformat(told["finished_at"])
    assert [(event["seq"], event["text"], event["actor"]) for event in told["events"]] == [(1, "Begun", "ann")]
    assert told["report"]["api_url"] == at("report", report.pk)
    assert told["can"] == []
    for hidden in ("secret.py", "kwargs", '"result"'):
        assert hidden not in answer.content.decode()


def test_a_report_is_its_data(script: Client, ann: Any) -> None:
    task = make_task(State.COMPLETED, owner=ann)
    report = make_report(task)
    told = script.get(at("report", report.pk)).json()
    assert (told["data"], told["title"], told["task"]) == (report.data, report.title, str(task.pk))
    draft = make_report(make_task(State.PROCESSING, owner=ann), is_final=False)
    assert script.get(at("report", draft.pk)).status_code == 404


def test_the_state_has_an_address_here_too(script: Client, ann: Any) -> None:
    task = make_task(owner=ann)
    assert script.get(at("state"), {"ids": str(task.pk)}).json()["tasks"][0]["id"] == str(task.pk)


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_cancelling_answers_with_the_new_state(script: Client, ann: Any, content_type: str) -> None:
    task = make_task(State.PENDING, owner=ann)
    body = '{"reason": "Wrong file"}' if "json" in content_type else "reason=Wrong+file"
    answer = script.post(at("cancel", task.pk), body, content_type=content_type)
    assert answer.status_code == 200
    assert (answer.json()["task"]["state"], answer.json()["task"]["can"]) == ("cancelled", ["retry"])
    assert (task.events.get().text, task.events.get().actor) == ("Wrong file", ann)


def test_retrying_the_same_click_twice_is_one_retry(script: Client, ann: Any) -> None:
    task = make_task(State.FAILED, owner=ann)
    body = {"once": "click-1"}
    assert script.post(at("retry", task.pk), body, content_type="application/json").json()["task"]["state"] == "pending"
    assert script.post(at("retry", task.pk), body, content_type="application/json").status_code == 409
    assert task.events.filter(kind="retried").count() == 1


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_409_when_the_state_does_not_allow_it(script: Client, ann: Any, verb: str) -> None:
    task = make_task(State.COMPLETED, owner=ann)
    answer = script.post(at(verb, task.pk))
    assert answer.status_code == 409
    assert "completed" in answer.json()["error"]
    assert answer.json()["task"]["state"] == "completed"


@pytest.mark.parametrize("body", ["[]", "{", '"x"', "[" * 10_000])
def test_a_body_that_is_no_object_is_refused(script: Client, ann: Any, body: str) -> None:
    task = make_task(State.PENDING, owner=ann)
    answer = script.post(at("cancel", task.pk), body, content_type="application/json")
    assert answer.status_code == 400
    assert "JSON object" in answer.json()["error"]
    assert Task.objects.get().state == State.PENDING


def test_401_for_whoever_has_not_signed_in(client: Client) -> None:
    task = make_task(State.COMPLETED, owner=make_user())
    for address, method in addresses(task, make_report(task).pk).items():
        answer = getattr(client, method)(address)
        assert answer.status_code == 401, address
        assert answer.json().keys() == {"error", "hint"}


def test_404_for_what_is_not_there_and_for_what_is_not_yours_alike(script: Client) -> None:
    hers = make_task(State.FAILED, owner=make_user())
    report = make_report(hers)
    for key, report_pk in ((hers.pk, report.pk), (uuid4(), report.pk + 1)):
        found = [script.get(at("task", key)), script.get(at("report", report_pk))]
        found += [script.post(at(verb, key)) for verb in ("cancel", "retry")]
        assert [answer.status_code for answer in found] == [404] * 4
        assert all(answer.json()["error"] for answer in found)
    assert script.get(at("nothing", "tasks/7/")).json()["hint"]
    assert script.get(at("nothing", "tasks/7/")).status_code == 404
    assert Task.objects.get().state == State.FAILED


def test_405_names_the_method_that_is_meant(script: Client, ann: Any) -> None:
    task = make_task(State.PENDING, owner=ann)
    for address, method in addresses(task, make_report(task).pk).items():
        other = "post" if method == "get" else "get"
        answer = getattr(script, other)(address)
        assert answer.status_code == 405, address
        assert answer["Allow"] == {"get": "GET, HEAD", "post": "POST"}[method]
        assert answer.json()["error"]
    assert Task.objects.get().state == State.PENDING


@pytest.mark.parametrize(("verb", "state"), [("cancel", State.PENDING), ("retry", State.FAILED)])
def test_403_without_the_permission_for_this_task(client: Client, verb: str, state: str) -> None:
    hers = make_task(state, owner=make_user())
    client.force_login(make_user(permissions=("view_task",)))
    answer = client.post(at(verb, hers.pk))
    assert answer.status_code == 403
    assert f"taskcenter.{verb}_task" in answer.json()["hint"]
    assert Task.objects.get().state == state
    client.force_login(make_staff(permissions=("view_task", f"{verb}_task")))
    assert client.post(at(verb, hers.pk)).status_code == 200


def test_403_as_json_without_the_csrf_token_and_in_with_it(ann: Any) -> None:
    task = make_task(State.PENDING, owner=ann)
    script = Client(enforce_csrf_checks=True)
    script.force_login(ann)
    answer = script.post(at("cancel", task.pk))
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["hint"]
    assert Task.objects.get().state == State.PENDING
    token = "a" * 32
    script.cookies["csrftoken"] = token
    assert script.post(at("cancel", task.pk), headers={"X-CSRFToken": token}).status_code == 200


def test_somebody_who_was_shut_out_is_nobody(script: Client, ann: Any) -> None:
    ann.is_active = False
    ann.save()
    assert script.get(at("tasks")).status_code == 401
