"""The widget before the real server: many rows on one line, and a keyboard."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from taskcenter.models import Task
from taskcenter.passes import make_pass
from taskcenter.progress import TaskProgress, snapshots
from taskcenter.states import State
from tests.factories import make_task, make_user, make_worker
from tests.ledger.book import Book
from tests.ledger.tasks import steps

from .host import Heard, show
from .steps import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 60
ROUNDS = 8
PER_SECOND = 5


def test_sixty_live_rows_share_one_socket_and_one_voice(page: Page, login: Callable[..., None]) -> None:
    user = make_user("ann")
    worker = make_worker()
    tasks = [make_task(State.PROCESSING, owner=user, worker=worker, title=f"Row {number}") for number in range(MANY)]
    login(user)
    heard = Heard(page)
    rows = snapshots(Task.objects.order_by("id"))
    show(page, "{% for row in rows %}{% task_progress row compact=True %}{% endfor %}", rows=rows)
    expect(page.locator("task-progress[data-conn=live]")).to_have_count(MANY, timeout=PATIENCE)

    told = [TaskProgress(task.id, 1) for task in tasks]
    before, began = len(heard.updates()), time.monotonic()
    for number in range(1, ROUNDS + 1):
        for one in told:
            one.set(number / ROUNDS / 2)
        expect(page.locator(f'task-progress [data-part="percent"]:text-is("{number * 50 // ROUNDS}%")')).to_have_count(
            MANY, timeout=PATIENCE
        )
    updates, lasted = len(heard.updates()) - before, time.monotonic() - began
    assert 0 < updates <= PER_SECOND * lasted + 1, f"{updates} frames in {lasted:.1f} s"
    assert heard.sockets == 1
    assert page.get_by_role("status").count() == 1
    expect(page.get_by_role("status")).to_have_text("")


def test_two_widgets_of_one_task_on_a_strange_page(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    book = Book(tmp_path / "ledger.sqlite3")
    user = make_user("ann")
    task = Task.objects.get(id=steps.using(owner=user, title="Steps").enqueue().id)
    login(user)
    heard = Heard(page)
    show(page, "{% task_progress task stages=True %}{% task_progress task compact=True %}", task=task)
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    widgets = page.locator("task-progress")
    for number in (1, 2):
        book.open_gate(number)
        for bar in page.get_by_role("progressbar", name="Steps").all():
            expect(bar).to_have_js_property("value", number / 4, timeout=PATIENCE)
    for number in (3, 4):
        book.open_gate(number)
    for at in (0, 1):
        expect(widgets.nth(at)).to_have_attribute("state", "completed", timeout=PATIENCE)
    assert heard.sockets == 1


def test_a_task_is_cancelled_with_the_keyboard_alone(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    book = Book(tmp_path / "ledger.sqlite3")
    user = make_user("ann")
    result = steps.using(owner=user, title="Steps").enqueue()
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    login(user)
    page.goto(f"/tasks/tasks/{result.id}/")
    widget = page.locator("task-progress")
    expect(widget).to_have_attribute("state", "processing", timeout=PATIENCE)
    button = page.get_by_role("button", name="Cancel Steps")
    for _ in range(30):
        if button.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(widget).to_have_attribute("state", "cancelled", timeout=PATIENCE)
    expect(widget).to_be_focused()
    expect(page.get_by_role("status").filter(has_text="Steps: cancelled")).to_have_count(1)


def test_without_javascript_the_page_refreshes_itself_and_cancels(
    new_context: Callable[..., BrowserContext], login: Callable[..., None]
) -> None:
    user = make_user("ann")
    task = make_task(State.PENDING, owner=user, title="Steps")
    plain = new_context(java_script_enabled=False)
    login(user, plain)
    page = plain.new_page()
    page.goto(f"/tasks/tasks/{task.id}/")
    expect(page.locator("task-progress")).to_contain_text("Waits for a free worker")
    expect(page.locator('meta[http-equiv="refresh"]')).to_have_count(1)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("task-progress")).to_have_attribute("state", "cancelled")
    expect(page.locator('meta[http-equiv="refresh"]')).to_have_count(0)
    expect(page).to_have_url(re.compile(f"/tasks/tasks/{task.id}/$"))


@pytest.mark.parametrize("sockets", [True, False], ids=["socket", "polling"])
def test_a_pass_opens_one_task_to_a_stranger(page: Page, block_sockets: Callable[[Page], None], sockets: bool) -> None:
    if not sockets:
        block_sockets(page)
    task, other = (make_task(State.PROCESSING, worker=make_worker(), title=name) for name in ("Mine", "Other"))
    source = "{% task_progress task token=token %}{% task_progress other %}"
    show(page, source, task=task, other=other, token=make_pass(task))
    conn = "live" if sockets else "polling"
    expect(page.locator('task-progress[label="Mine"]')).to_have_attribute("data-conn", conn, timeout=PATIENCE)
    TaskProgress(task.id, 1).set(0.5)
    expect(page.get_by_role("progressbar", name="Mine")).to_have_js_property("value", 0.5, timeout=PATIENCE)
    expect(page.locator('task-progress[label="Other"]')).to_have_attribute("data-conn", "denied", timeout=PATIENCE)
