"""People who are not staff: by keyboard alone, with a link and no account, with eyes only."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from taskcenter.models import Share, Task
from taskcenter.states import State
from tests.factories import make_report, make_task, make_user
from tests.ledger.book import Book
from tests.ledger.tasks import hold

from .steps import PATIENCE, RUN_PAGE, sales

pytestmark = pytest.mark.django_db(transaction=True)


def focused(page: Page) -> str:
    """What has the focus, as a screen reader would name it."""
    return str(
        page.evaluate(
            "() => { const e = document.activeElement;"
            " return (e.labels?.[0]?.textContent || e.textContent || e.name || e.tagName).trim() }"
        )
    )


def tab_to(page: Page, name: str, most: int = 40) -> None:
    """Press Tab until that is reached."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1].startswith(name):
            return
    pytest.fail(f"Tab does not lead to {name!r}, only to {seen}")


def test_by_keyboard_alone_from_the_upload_to_the_report(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    login(make_user("ann"))
    page.goto("/analyses/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "Upload a file")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/new/$"))
    tab_to(page, "Data file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(sales(tmp_path / "sales.csv", 2_000))
    tab_to(page, "Upload and analyse")
    page.keyboard.press("Enter")
    expect(page).to_have_url(RUN_PAGE, timeout=PATIENCE)
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    tab_to(page, "Cancel")
    process("rqworker", "analysis")
    expect(page.get_by_role("link", name=re.compile("Report ready"))).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#taskcenter-live")).to_contain_text("Report ready", timeout=PATIENCE)
    expect(page).to_have_url(RUN_PAGE)
    expect(page).to_have_title(re.compile("^Completed: sales.csv"))
    tab_to(page, "Report ready")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What we found")).to_be_visible(timeout=PATIENCE)


def test_the_bell_and_a_toast_tell_on_a_page_about_something_else(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    book, ann = Book(tmp_path / "ledger.sqlite3"), make_user("ann")
    hold.using(owner=ann, title="Held").enqueue()
    login(ann)
    page.goto("/tasks/notifications/")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    book.open_gate(1)
    expect(page.locator("[data-taskcenter-unread]").first).to_have_text("1", timeout=PATIENCE)
    expect(page.locator("#taskcenter-notices").get_by_role("link", name="Held is ready")).to_be_visible()
    expect(page.locator("#taskcenter-live[role=status]")).to_contain_text("Held is ready")
    page.get_by_role("link", name=re.compile("Something new")).click()
    page.get_by_role("button", name=re.compile("^Mark read")).click()
    expect(page.get_by_role("button", name=re.compile("^Mark"))).to_have_count(0)
    expect(page.locator("[data-taskcenter-unread]").first).to_be_hidden()


def test_a_link_is_followed_live_without_an_account_until_it_is_taken_back(
    page: Page,
    login: Callable[..., None],
    new_context: Callable[..., BrowserContext],
    process: Callable[..., Any],
    console: Any,
    tmp_path: Path,
) -> None:
    console.allow("404")
    book, ann = Book(tmp_path / "ledger.sqlite3"), make_user("ann")
    task_id = hold.using(owner=ann, title="Held").enqueue().id
    login(ann)
    page.goto(f"/tasks/tasks/{task_id}/")
    page.get_by_label("Works for").select_option("hour")
    page.get_by_role("button", name="Make a link").click()
    address = page.get_by_label(re.compile("^Link until")).input_value()

    stranger = new_context().new_page()
    sockets: list[Any] = []
    stranger.on("websocket", lambda socket: sockets.append(socket.url))
    stranger.goto(address)
    widget = stranger.locator("task-progress")
    expect(widget).to_have_attribute("data-conn", "polling", timeout=PATIENCE)
    expect(stranger.get_by_role("button")).to_have_count(0)
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    expect(widget).to_have_attribute("state", "processing", timeout=PATIENCE)
    page.get_by_role("button", name=re.compile("^Take back")).click()
    expect(stranger.get_by_role("heading", name="This link does not work")).to_be_visible(timeout=PATIENCE)
    assert sockets == [], "whoever has no account has no socket"
    book.open_gate(1)


def test_a_shared_page_gets_its_report_when_the_task_has_ended(
    new_context: Callable[..., BrowserContext], process: Callable[..., Any], tmp_path: Path
) -> None:
    book, ann = Book(tmp_path / "ledger.sqlite3"), make_user("ann")
    task = Task.objects.get(id=hold.using(owner=ann, title="Held").enqueue().id)
    stranger = new_context().new_page()
    stranger.goto(f"/tasks/shared/{_link(task, ann)}/")
    process("rqworker", "default", LEDGER_PATH=str(book.path))
    expect(stranger.locator("task-progress")).to_have_attribute("state", "processing", timeout=PATIENCE)
    make_report(Task.objects.get(), title="What came of it")
    book.open_gate(1)
    expect(stranger.get_by_role("heading", name="What came of it")).to_be_visible(timeout=PATIENCE)


def test_a_finished_shared_page_goes_within_half_a_minute_of_its_link(
    new_context: Callable[..., BrowserContext], console: Any
) -> None:
    console.allow("404")
    ann = make_user("ann")
    task = make_task(State.COMPLETED, owner=ann, title="Sales")
    stranger = new_context().new_page()
    stranger.clock.install()
    stranger.goto(f"/tasks/shared/{_link(task, ann)}/")
    stranger.clock.fast_forward("00:31")
    expect(stranger.get_by_role("heading", name="Sales")).to_be_visible()
    Share.objects.revoke()
    stranger.clock.fast_forward("00:31")
    expect(stranger.get_by_role("heading", name="This link does not work")).to_be_visible(timeout=PATIENCE)


def test_by_keyboard_alone_from_a_failure_to_the_next_try(page: Page, login: Callable[..., None]) -> None:
    ann = make_user("ann")
    task = make_task(State.FAILED, owner=ann, title="Sales")
    login(ann)
    page.goto("/tasks/?state=failed")
    tab_to(page, "Sales")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What went wrong")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(str(task.pk))
    tab_to(page, "Try again")
    page.keyboard.press("Enter")
    expect(page.locator("task-progress")).to_have_attribute("state", "pending", timeout=PATIENCE)
    expect(page.locator(".tc-message")).to_contain_text("It will run again.")


def test_without_javascript_the_pages_say_it_all(new_context: Callable[..., BrowserContext], login: Any) -> None:
    ann = make_user("ann")
    task = make_task(State.COMPLETED, owner=ann, title="Sales")
    make_report(task)
    context = new_context(java_script_enabled=False)
    login(ann, context)
    page = context.new_page()
    page.goto("/tasks/?state=completed")
    page.get_by_role("searchbox").fill("sal")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Sales", exact=True).click()
    page.get_by_role("button", name="Make a link").click()
    page.goto(page.get_by_label(re.compile("^Link until")).input_value())
    expect(page.get_by_text("All is well.")).to_be_visible()


def test_who_may_only_look_has_nothing_to_press(page: Page, login: Callable[..., None], console: Any) -> None:
    console.allow("403")
    waiting = make_task(State.PENDING, owner=make_user(), title="Hers")
    failed = make_task(State.FAILED, owner=make_user(), title="Hers too")
    login(make_user("viewer", permissions=("view_task",)))
    for task in (waiting, failed):
        page.goto(f"/tasks/tasks/{task.pk}/")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Hers")
        expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
    token = page.context.cookies()
    csrf = next((one["value"] for one in token if one["name"] == "csrftoken"), "")
    answer = page.request.post(f"/tasks/api/tasks/{waiting.pk}/cancel/", headers={"X-CSRFToken": csrf})
    assert answer.status == 403
    assert answer.json()["error"]


def _link(task: Task, maker: Any) -> str:
    return Share.objects.make(task, maker, timedelta(hours=1)).token
