"""A task hangs: its worker says where, whatever it hangs in, and the task is none the worse for it."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.urls import reverse

from taskcenter.lifecycle import ask_for_stack
from taskcenter.models import Task, TaskEvent
from tests.factories import PASSWORD, make_staff, make_task, make_worker
from tests.faults.stack import Stack, wait_until
from tests.ledger.villains import deaf_signals, own_signals, spin, stuck_in_c, stuck_in_sleep, threaded

LONG = 600


def dumped(task_id: str, *options: str) -> str:
    out = io.StringIO()
    call_command("dump_stack", task_id, "--wait", "60", *options, stdout=out)
    return out.getvalue()


def answers(task_id: str) -> list[TaskEvent]:
    return list(TaskEvent.objects.filter(task_id=task_id, kind="stack").told())


def begun(stack: Stack, definition: Any, *arguments: Any) -> str:
    task_id = stack.enqueue(definition, *arguments)
    stack.wait_begun(task_id)
    return task_id


@pytest.mark.parametrize(
    ("definition", "arguments", "place"),
    [
        (stuck_in_sleep, (), "in _asleep_for_ever"),
        (spin, (LONG,), "in spin"),
        (stuck_in_c, (), "in _count_for_ever"),
    ],
    ids=["in time.sleep", "in a loop", "in C, with Python's lock"],
)
def test_its_stack_names_the_function(stack: Stack, definition: Any, arguments: Any, place: str) -> None:
    stack.worker()
    task_id = begun(stack, definition, *arguments)
    assert dumped(task_id, "--reason", "it hangs").count(place) == 1
    assert dumped(task_id).count(place) == 1, "once more, and only what is new"

    task = Task.objects.get(id=task_id)
    assert (task.state, task.attempt) == ("processing", 1)
    assert stack.events(task_id) == ["stack_asked", "stack"] * 2
    [asked, answer, *_] = TaskEvent.objects.filter(task_id=task_id).told()
    assert (asked.text, answer.attempt, answer.worker_id) == ("it hangs", 1, task.worker_id)


def test_the_thread_of_the_task_comes_first(stack: Stack) -> None:
    stack.worker()
    text = dumped(begun(stack, threaded))
    assert text.index("in _in_the_task") < text.index("in _beside_the_task")


def test_a_task_with_signals_of_its_own_keeps_them(stack: Stack) -> None:
    worker = stack.worker()
    task_id = begun(stack, own_signals)
    assert "in own_signals" in dumped(task_id)
    [slot] = worker.slots()
    slot.send_signal(signal.SIGUSR1)
    slot.send_signal(signal.SIGUSR2)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])


def test_a_slot_that_no_longer_listens_is_not_ended_by_the_question(stack: Stack) -> None:
    stack.worker()
    task_id = begun(stack, deaf_signals)
    with pytest.raises(CommandError, match="the task has taken over signal"):
        dumped(task_id)
    stack.book.open_gate(1)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])


def test_a_stopped_slot_is_said_to_be_stopped(stack: Stack) -> None:
    worker = stack.worker()
    task_id = begun(stack, stuck_in_sleep)
    [slot] = worker.slots()
    slot.suspend()
    with pytest.raises(CommandError, match=r"did not answer within 5 seconds: it is stopped \(SIGSTOP\)"):
        dumped(task_id)


def test_a_double_click_asks_once_and_each_question_is_answered_once(stack: Stack) -> None:
    worker = stack.worker()
    task_id = begun(stack, stuck_in_sleep)
    os.kill(worker.pid, signal.SIGSTOP)  # so that no answer comes between
    outcomes = [ask_for_stack(task_id) for _ in range(3)]  # type: ignore[arg-type]
    os.kill(worker.pid, signal.SIGCONT)
    assert [one.moved for one in outcomes] == [True, False, False]
    assert "answers within seconds" in outcomes[1].text
    wait_until(lambda: answers(task_id), "it is answered")
    dumped(task_id)
    assert stack.events(task_id) == ["stack_asked", "stack"] * 2


def test_two_slots_are_not_mixed_up(stack: Stack) -> None:
    stack.worker(concurrency=2)
    asleep, spinning = begun(stack, stuck_in_sleep), begun(stack, spin, LONG)
    texts: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda it=one: texts.update({it: dumped_apart(it)})) for one in (asleep, spinning)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "in _asleep_for_ever" in texts[asleep]
    assert "in spin" not in texts[asleep]
    assert "in spin" in texts[spinning]


def dumped_apart(task_id: str) -> str:
    """In a thread, with connections of its own."""
    try:
        return dumped(task_id)
    finally:
        connections.close_all()


def test_of_a_dead_worker_there_is_no_stack(stack: Stack) -> None:
    worker = stack.worker()
    task_id = begun(stack, stuck_in_sleep)
    worker.kill9()
    wait_until(lambda: not worker.rows()[0].is_alive, "its worker is silent")
    with pytest.raises(CommandError, match=r"its worker is dead\. Recover the task instead"):
        dumped(task_id)
    assert stack.events(task_id) == []


def test_the_operator_asks_on_the_page_and_reads_it_there(stack: Stack) -> None:
    stack.worker()
    task_id = begun(stack, stuck_in_sleep)
    make_staff("op", permissions=("view_task", "recover_task"))
    page, address = signed_in("op"), reverse("admin:taskcenter_task_change", args=[task_id])
    assert "Dump its stack" in text_of(page, address)
    assert page.post(reverse("admin:taskcenter_task_stack", args=[task_id])).status_code == 302
    wait_until(lambda: answers(task_id), "it is answered")
    text = text_of(page, address)
    assert "in _asleep_for_ever" in text.split('<pre class="tc-code"')[1]
    [asked] = TaskEvent.objects.filter(task_id=task_id, kind="stack_asked")
    assert asked.actor.username == "op"


def test_those_who_may_only_look_neither_ask_nor_see_it(transactional_db: None, redis_client: Any) -> None:
    task = make_task("processing", worker=make_worker())
    TaskEvent.objects.tell(task.id, "stack", "There.", attempt=1, data={"stack": "in secret_function"})
    make_staff("viewer", permissions=("view_task",))
    page, ask = signed_in("viewer"), reverse("admin:taskcenter_task_stack", args=[task.id])
    text = text_of(page, reverse("admin:taskcenter_task_change", args=[task.id]))
    assert "secret_function" not in text
    assert "Dump its stack" not in text
    assert page.post(ask).status_code == 403
    assert not TaskEvent.objects.filter(kind="stack_asked").exists()


def test_asking_wants_a_post_with_a_token(transactional_db: None, redis_client: Any) -> None:
    task = make_task("processing", worker=make_worker())
    make_staff("op", permissions=("view_task", "recover_task"))
    ask = reverse("admin:taskcenter_task_stack", args=[task.id])
    assert signed_in("op").get(ask).status_code == 405
    assert signed_in("op", enforce_csrf_checks=True).post(ask).status_code == 403
    assert not TaskEvent.objects.exists()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (make_task, "the task is pending, nobody runs it"),
        (lambda: make_task("failed"), "the task is failed, nobody runs it"),
        (lambda: make_task("processing"), "its worker is dead"),
        (lambda: make_task("processing", worker=make_worker(silent=999)), "its worker is dead"),
    ],
)
def test_what_does_not_run_has_no_stack(transactional_db: None, make: Callable[[], Task], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        dumped(str(make().id))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("17",), "'17' is not a task id"),
        (("00000000-0000-0000-0000-000000000007",), "does not exist any more"),
        (("00000000-0000-0000-0000-000000000007", "--wait", "0"), "--wait must be greater than 0"),
    ],
)
def test_a_wrong_argument_is_answered_with_a_sentence(
    transactional_db: None, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("dump_stack", *arguments)


def test_a_worker_that_never_answers_is_not_waited_for(transactional_db: None) -> None:
    task = make_task("processing", worker=make_worker())
    with pytest.raises(CommandError, match=r"No answer within 0\.3 seconds"):
        call_command("dump_stack", str(task.id), "--wait", "0.3")


def signed_in(name: str, **options: Any) -> Client:
    client = Client(**options)
    client.login(username=name, password=PASSWORD)
    return client


def text_of(page: Client, address: str) -> str:
    return page.get(address).content.decode()
