"""Somebody guesses the ids of other people's tasks: everything answers as for a task that does not exist."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from taskcenter.models import Task
from taskcenter.passes import make_pass
from tests.factories import make_event, make_report, make_task, make_user
from tests.faults.pages import Page, watching
from tests.faults.stack import Stack, require_fired, wait_until


def secret_task(stack: Stack) -> Task:
    task = make_task("completed", owner=stack.owner, title="Secret plans")
    make_report(task, title="Secret report")
    make_event(task, text="secret line")
    return task


def heard(page: Page) -> tuple[Any, ...]:
    return page.known, page.lines, len(page.denied), page.codes


def test_the_socket_and_its_history(stack: Stack) -> None:
    thief, task, nowhere = make_user(), secret_task(stack), str(uuid4())
    with watching(stack) as readers:
        require_fired(readers.open(stack.owner, str(task.id)).known, "there was nothing to steal")
        guesses = [readers.open(thief, one) for one in (str(task.id), nowhere)]
        assert heard(guesses[0]) == heard(guesses[1]) == ({}, [], 1, [])


@pytest.mark.parametrize("spoil", [lambda text: text[:-2], lambda text: text.upper(), lambda _: make_pass(uuid4())])
def test_a_socket_with_a_pass_that_is_none(stack: Stack, spoil: Any) -> None:
    key = str(secret_task(stack).id)
    with watching(stack) as readers:
        stranger = readers.open(None, key, passes={key: spoil(make_pass(key))})
        wait_until(lambda: stranger.codes, "it is closed")
        assert heard(stranger) == ({}, [], 0, [4401])


def test_a_pass_of_ones_own_opens_nothing_else(stack: Stack) -> None:
    key, other = str(secret_task(stack).id), str(make_task().id)
    with watching(stack) as readers:
        stranger = readers.open(None, other, key, passes={other: make_pass(other), key: make_pass(other)})
        assert (set(stranger.known), stranger.denied) == ({other}, {key})


def told(answer: Any) -> str:
    """The answer without the forms' tokens, which are new each time."""
    return re.sub(r'value="\w{64}"', "", answer.content.decode())


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "address",
    ["/tasks/tasks/{}/", "/tasks/tasks/{}/cancel/", "/tasks/tasks/{}/retry/", "/tasks/state/?ids={}&rev=1"],
)
def test_pages_and_json(stack: Stack, method: str, address: str) -> None:
    task, nowhere = secret_task(stack), str(uuid4())
    client = Client()
    client.force_login(make_user())
    answers = [getattr(client, method)(address.format(one)) for one in (task.id, nowhere)]
    texts = [told(answer).replace(str(one), "") for answer, one in zip(answers, (task.id, nowhere), strict=True)]
    assert answers[0].status_code == answers[1].status_code
    assert texts[0] == texts[1]
    assert "ecret" not in texts[0]
    assert Task.objects.get(id=task.id).rev == task.rev
