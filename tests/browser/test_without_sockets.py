"""The same, where websockets do not get through; and over a restart of the server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from taskcenter.progress import ProgressTracker
from tests.factories import make_user
from tests.ledger.book import Book
from tests.ledger.tasks import steps
from tests.processes import wait_for

from .steps import PATIENCE, sales, upload

pytestmark = pytest.mark.django_db(transaction=True)

CATCH_UP = 5.0
"""Seconds after which a page must show what it missed: this one is a promise."""


def test_with_sockets_blocked_the_page_polls_and_the_report_appears(
    page: Page,
    login: Callable[..., None],
    block_sockets: Callable[[Page], None],
    process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    login(make_user("ann"))
    block_sockets(page)
    upload(page, sales(tmp_path / "sales.csv"))
    widget = page.locator("task-progress")
    expect(widget).to_have_attribute("data-conn", "polling", timeout=PATIENCE)
    process("rqworker", "analysis")
    expect(page.get_by_role("link", name=re.compile("Report ready"))).to_be_visible(timeout=PATIENCE)


def test_with_sockets_blocked_the_bar_still_moves(
    page: Page,
    login: Callable[..., None],
    block_sockets: Callable[[Page], None],
    process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    book = Book(tmp_path / "ledger.sqlite3")
    user = make_user("ann")
    task_id = steps.using(owner=user, title="Steps").enqueue().id
    login(user)
    block_sockets(page)
    page.goto(f"/tasks/tasks/{task_id}/")
    widget = page.locator("task-progress").first
    expect(widget).to_have_attribute("data-conn", "polling", timeout=PATIENCE)
    expect(widget).to_have_attribute("state", "pending")
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    expect(widget).to_have_attribute("state", "processing", timeout=PATIENCE)
    bar = page.get_by_role("progressbar", name="Steps")
    for number in (1, 2, 3):
        book.open_gate(number)
        expect(bar).to_have_js_property("value", number / 4, timeout=PATIENCE)
    book.open_gate(4)
    expect(widget).to_have_attribute("state", "completed", timeout=PATIENCE)
    expect(widget).to_have_attribute("data-conn", "polling")


def test_a_page_catches_up_after_the_server_was_killed_in_the_middle(
    page: Page, login: Callable[..., None], asgi_server: Any, console: Any, process: Callable[..., Any], tmp_path: Path
) -> None:
    console.allow("WebSocket|ERR_CONNECTION_REFUSED|Failed to load")
    book = Book(tmp_path / "ledger.sqlite3")
    user = make_user("ann")
    task_id = steps.using(owner=user, title="Steps").enqueue().id
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    login(user)
    page.goto(f"/tasks/tasks/{task_id}/")
    widget = page.locator("task-progress").first
    expect(widget).to_have_attribute("state", "processing", timeout=PATIENCE)
    expect(widget).to_have_attribute("data-conn", "live", timeout=PATIENCE)

    bar = page.get_by_role("progressbar", name="Steps")
    book.open_gate(1)
    expect(bar).to_have_js_property("value", 0.25, timeout=PATIENCE)

    asgi_server.kill9()
    expect(widget).to_have_attribute("data-conn", "reconnecting", timeout=PATIENCE)
    for number in (2, 3):
        book.open_gate(number)
    tracker = ProgressTracker()
    wait_for(lambda: (tracker.get_progress(task_id) or {}).get("progress") == 0.75, 60, "the task goes on")
    asgi_server.start()
    answered = time.monotonic()
    expect(bar).to_have_js_property("value", 0.75, timeout=PATIENCE)
    assert time.monotonic() - answered < CATCH_UP
    book.open_gate(4)
    expect(widget).to_have_attribute("state", "completed", timeout=PATIENCE)
    expect(widget).to_have_attribute("data-conn", "live")
