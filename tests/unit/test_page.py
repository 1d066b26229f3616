from __future__ import annotations

import os
import uuid

from taskcenter.worker.page import Page, Running


def test_an_empty_page_runs_nothing() -> None:
    page = Page()
    assert page.running() is None
    assert not page.stopping
    assert not page.paused
    assert page.cancelled[1] == 0
    assert page.held() == []


def test_what_is_held_is_read_back_whole() -> None:
    page, attempts = Page(), [(uuid.uuid4(), number) for number in range(1, 66)]
    page.hold(attempts)
    assert page.held() == attempts
    page.hold([])
    assert page.held() == []


def test_what_began_is_read_back_until_it_ends() -> None:
    page, running = Page(), Running(uuid.uuid4(), 3, 12.5, 60.0)
    page.begin(running)
    assert page.running() == running
    page.end()
    assert page.running() is None


def test_a_cancel_of_one_attempt_is_not_heard_by_the_next() -> None:
    page, task_id = Page(), uuid.uuid4()
    page.begin(Running(task_id, 1, 0.0, 0.0))
    page.cancelled = (task_id, 1)
    page.end()
    page.begin(Running(uuid.uuid4(), 1, 0.0, 0.0))
    assert page.cancelled == (task_id, 1), "another task's first attempt is another attempt"


def test_no_field_writes_over_another() -> None:
    page, worker, running = Page(), uuid.uuid4(), Running(uuid.UUID(int=2**128 - 1), 2**32 - 1, 1e9, 1e6)
    page.worker_id = worker
    page.begin(running)
    page.cancelled, page.stopping, page.paused = (running.task_id, 2**32 - 1), True, True
    page.hold([(running.task_id, 2**32 - 1)] * 200)
    assert (page.worker_id, page.running()) == (worker, running)
    assert (page.cancelled, page.stopping, page.paused) == ((running.task_id, 2**32 - 1), True, True)
    assert len(page.held()) == 128
    page.stopping = False
    assert (page.stopping, page.paused) == (False, True)


def test_a_parent_sees_what_its_dead_slot_was_running() -> None:
    page, running = Page(), Running(uuid.uuid4(), 1, 1.0, 0.0)
    child = os.fork()
    if not child:
        page.begin(running)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert page.running() == running
