"""What an operator does in the admin's task list and on a task's page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from taskcenter import lifecycle
from taskcenter.models import Task, TaskEvent
from taskcenter.states import State
from tests.factories import make_event, make_report, make_staff, make_task, make_worker

from .audit import faults_of
from .steps import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/taskcenter/task/"
TRACE = """Traceback (most recent call last):
  File "/srv/site/.venv/lib/python3.11/site-packages/somelib/reader.py", line 210, in read
    return parse(row)
  File "/srv/site/imports/parse.py", line 88, in row
    raise ValueError("line 41 has 9 fields, expected 8")
ValueError: line 41 has 9 fields, expected 8
"""


@pytest.fixture
def operator(login: Callable[..., None]) -> Any:
    user = make_staff("root", is_superuser=True)
    login(user)
    return user


@pytest.fixture
def log(asgi_server: Any) -> None:
    """The site may write the admin's log: it has forgotten the content types of the test before."""
    asgi_server.stop()
    asgi_server.start()


def page_of(task: Task) -> str:
    return f"{LIST}{task.pk}/change/"


def make_failed(**fields: Any) -> Task:
    task = make_task(
        State.FAILED, **{"title": "Import sales.csv", "attempt": 2, "failures": 2, "max_attempts": 2, **fields}
    )
    data = {"traceback": TRACE}
    make_event(task, TaskEvent.Kind.FAILED, "ConnectionError: no answer", attempt=1, level="error")
    make_event(task, TaskEvent.Kind.LOG, "read 40 lines", attempt=2)
    make_event(task, TaskEvent.Kind.FAILED, "ValueError: line 41 has 9 fields", attempt=2, level="error", data=data)
    return task


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on what is called so."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(
            "(document.activeElement.textContent || document.activeElement.value || '').trim()"
        ).startswith(name):
            return
    pytest.fail(f"No way to {name!r} by the keyboard")


def test_a_failed_task_is_found_and_retried_by_keyboard_alone(page: Page, operator: Any, log: None) -> None:
    make_task(State.COMPLETED, title="Another one")
    task = make_failed()
    page.goto(LIST)
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Import sales.csv", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What went wrong")).to_be_visible()
    tab_to(page, "Retry…")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It runs again with the same input")).to_be_visible()
    tab_to(page, "Retry this task")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It will run again.")).to_be_visible()
    assert Task.objects.get(pk=task.pk).state == State.PENDING


def test_keys_are_off_in_inputs_and_can_be_switched_off(page: Page, operator: Any) -> None:
    for number in range(3):
        make_task(State.FAILED, title=f"Task {number}")
    page.goto(LIST)
    page.keyboard.press("/")
    search = page.locator("#searchbar")
    expect(search).to_be_focused()
    page.keyboard.press("j")
    expect(search).to_have_value("j")
    search.blur()
    for key, title in (("j", "Task 2"), ("j", "Task 1"), ("k", "Task 2")):
        page.keyboard.press(key)
        expect(page.get_by_role("link", name=title, exact=True)).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator(".action-select:checked")).to_have_count(1)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keys")
    expect(help_).to_be_visible()
    help_.get_by_label("These keys work").uncheck()
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(help_).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(help_).to_be_visible()


def test_rows_change_where_they_are_and_newer_tasks_wait(page: Page, operator: Any) -> None:
    below, above = make_task(title="Below"), make_task(title="Above")
    page.goto(f"{LIST}?state=pending")
    rows = page.locator("#result_list tbody tr")
    expect(rows.nth(0).locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    lifecycle.request_cancel(above.pk, actor=operator, reason="Not needed")
    expect(rows.nth(0)).to_have_class(re.compile("tc-moved"), timeout=PATIENCE)
    expect(rows.nth(0).locator("task-progress")).to_have_attribute("state", "cancelled")
    expect(rows.nth(1)).to_contain_text("Below")
    make_task(title="Made later")
    newer = page.locator(".tc-newer")
    expect(newer).to_have_text("1 newer task — Refresh", timeout=PATIENCE)
    expect(rows).to_have_count(2)
    newer.get_by_role("link", name="Refresh").click()
    expect(rows.nth(0)).to_contain_text("Made later")
    assert Task.objects.get(pk=below.pk).state == State.PENDING


def test_a_row_gets_the_links_of_its_new_state(page: Page, operator: Any) -> None:
    task = make_task(title="Soon cancelled")
    page.goto(LIST)
    row = page.locator("#result_list tbody tr")
    expect(row.locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    lifecycle.request_cancel(task.pk, actor=operator)
    expect(row.get_by_role("link", name="Retry…")).to_be_visible(timeout=PATIENCE)
    expect(row.get_by_role("link", name="Cancel…")).to_have_count(0)
    expect(row).to_contain_text("cancelled just now")


def test_the_page_of_a_task_follows_it(page: Page, operator: Any) -> None:
    task = make_task(State.PROCESSING, title="A long one", worker=make_worker(silent=-3600))
    page.goto(page_of(task))
    expect(page.locator("task-progress").first).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    make_event(task, TaskEvent.Kind.LOG, "row 620 was read", attempt=1)
    expect(page.locator("#task-timeline")).to_contain_text("row 620 was read", timeout=PATIENCE)
    page.get_by_label("Follow").uncheck()
    assert Task.objects.filter(pk=task.pk).exists()
    lifecycle.request_cancel(task.pk, actor=operator)
    lifecycle.cancelled(Task.objects.get(pk=task.pk))
    expect(page.get_by_role("link", name="Retry…")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("link", name="Cancel…")).to_have_count(0)


def test_the_stack_of_a_running_task_is_asked_for(page: Page, operator: Any, log: None) -> None:
    task = make_task(State.PROCESSING, worker=make_worker(silent=-3600))
    page.goto(page_of(task))
    page.get_by_role("button", name="Dump its stack").click()
    expect(page.get_by_text("Asked worker")).to_be_visible()
    assert TaskEvent.objects.filter(task=task, kind=TaskEvent.Kind.STACK_ASKED).count() == 1


def test_everything_is_there_without_scripts(
    new_context: Callable[..., BrowserContext], login: Callable[..., None]
) -> None:
    context = new_context(java_script_enabled=False)
    login(make_staff("root", is_superuser=True), context)
    page = context.new_page()
    task = make_failed()
    page.goto(LIST)
    expect(page.get_by_role("button", name="Keys")).to_be_hidden()
    page.get_by_role("link", name=re.compile("Failed in 24 h")).click()
    page.get_by_role("link", name="Import sales.csv", exact=True).click()
    expect(page.locator("#try-2 .tc-code").first).to_contain_text("imports/parse.py")
    expect(page.locator("#try-2 .tc-code").first).not_to_contain_text("somelib")
    page.get_by_role("link", name="Errors", exact=True).click()
    expect(page.locator(".tc-timeline li")).to_have_count(2)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    assert page.url.endswith(f"{task.pk}/change/?level=error#timeline")


def test_admin_task_pages_are_readable_everywhere(
    new_context: Callable[..., BrowserContext],
    login: Callable[..., None],
    screenshot: Callable[[Page, str], None],
    console: Any,
) -> None:
    context = new_context(bypass_csp=True, reduced_motion="reduce")
    user = make_staff("root", is_superuser=True)
    login(user, context)
    console.allow("404")
    worker = make_worker(silent=-3600)
    running = make_task(
        State.PROCESSING, worker=worker, title="Import q3.csv", progress=0.62, owner=user, max_attempts=5
    )
    told = {"message": "parsing row 620", "done": 620, "total": 1000, "unit": "rows"}
    Task.objects.filter(pk=running.pk).update(
        progress_state={"attempt": 1, "seq": 4, "status": "processing", "metadata": told, "updated_at": ""}
    )
    make_event(running, TaskEvent.Kind.LOG, "opened the file", attempt=1)
    waiting = make_task(title="Import q4.csv", kwargs={"path": "q4.csv", "api_token": "s3cret", "text": "x" * 9000})
    lost = make_task(State.PROCESSING, title="Send letters", worker=make_worker(silent=3600))
    retrying = make_task(
        State.SCHEDULED,
        title="Fetch rates",
        attempt=1,
        failures=1,
        max_attempts=5,
        error_type="ConnectionError",
        error_message="no answer from rates.example",
    )
    done = make_task(State.COMPLETED, title="Monthly figures", owner=user)
    make_report(
        done, title="Figures of May", data={"summary": "Sales rose by 4 %.", "facts": {"Rows": 1000, "Days": 31}}
    )
    failed = make_failed(owner=user, fingerprint="f" * 32)
    page = context.new_page()
    found = []
    addresses = {
        "admin-list": LIST,
        "admin-list-empty": f"{LIST}?state=blocked&queue=analysis",
        "admin-task-failed": page_of(failed),
        "admin-task-running": page_of(running),
        "admin-task-waiting": page_of(waiting),
        "admin-task-lost": page_of(lost),
        "admin-task-retrying": page_of(retrying),
        "admin-task-completed": page_of(done),
        "admin-confirm-cancel": f"{LIST}{running.pk}/cancel/",
        "admin-confirm-delete": f"{LIST}{done.pk}/delete/",
        "admin-task-gone": f"{LIST}0199d0c4-0000-7000-8000-000000000000/change/",
    }
    for name, address in addresses.items():
        page.goto(address)
        screenshot(page, name)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                faults = [
                    fault for fault in faults_of(page) if "tc-" in fault or "task-" in fault or "sideways" in fault
                ]
                found += [f"{name} {width} {scheme}: {fault}" for fault in faults]
    assert found == []
