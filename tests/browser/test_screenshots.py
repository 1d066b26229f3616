"""Every page of the main job in light and dark, wide and narrow: audited, and kept in docs/images on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from analysis.models import Analysis
from analysis.samples import SAMPLES
from taskcenter.models import FailureGroup, Task
from tests.factories import make_staff, make_user
from tests.ledger.book import Book
from tests.ledger.tasks import boom, hold, mark

from .audit import faults_of
from .steps import PATIENCE, upload

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = ((1280, "wide"), (390, "narrow"))
SCHEMES = ("light", "dark")


@pytest.fixture
def lenient(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A context in which axe may be injected; the policy itself is tested everywhere else."""
    return new_context(bypass_csp=True, reduced_motion="reduce")


def audited(page: Page, name: str) -> list[str]:
    """The faults of the page in both themes and both widths."""
    found = []
    for width, size in SIZES:
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            found += [f"{name} {size} {scheme}: {fault}" for fault in faults_of(page)]
    return found


def test_the_pages_of_a_person_are_readable_everywhere(
    lenient: BrowserContext,
    login: Callable[..., None],
    screenshot: Callable[[Page, str], None],
    process: Callable[..., Any],
    tmp_path: Path,
    console: Any,
) -> None:
    console.allow("404")
    user = make_user("ann")
    login(user, lenient)
    page = lenient.new_page()
    found = []

    def keep(name: str, address: str = "") -> None:
        if address:
            page.goto(address)
        screenshot(page, name)
        found.extend(audited(page, name))

    keep("empty", "/analyses/")
    keep("upload", "/analyses/new/")
    upload(page, next(iter(SAMPLES.values())).path)
    keep("run-waiting")
    process("rqworker", "analysis")
    expect(page.locator("task-progress")).to_have_attribute("state", "completed", timeout=PATIENCE)
    run_page = page.url
    keep("run-done", run_page)
    keep("report", f"{run_page}report/")
    keep("analyses", "/analyses/")
    keep("tasks", "/tasks/")
    keep("task", f"/tasks/tasks/{Analysis.objects.get().task_id}/")
    keep("notifications", "/tasks/notifications/")
    keep("not-found", "/analyses/00000000-0000-7000-8000-000000000000/")
    assert found == []


def test_a_running_and_a_broken_analysis_are_readable(
    lenient: BrowserContext,
    login: Callable[..., None],
    screenshot: Callable[[Page, str], None],
    process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    user = make_user("ann")
    login(user, lenient)
    page = lenient.new_page()
    book = Book(tmp_path / "ledger.sqlite3")
    held = hold.using(owner=user, title="A long one").enqueue()
    broken = boom.using(owner=user, title="A broken one").enqueue("the file has 3 columns, 4 were expected")
    process("rqworker", "default", "--concurrency", "2", LEDGER_PATH=str(book.path))
    found = []
    for name, result, state in (("task-running", held, "processing"), ("task-failed", broken, "failed")):
        page.goto(f"/tasks/tasks/{result.id}/")
        expect(page.locator("task-progress").first).to_have_attribute("state", state, timeout=PATIENCE)
        screenshot(page, name)
        found += audited(page, name)
    book.open_gate(1)
    assert found == []


def test_the_admin_is_readable_everywhere(
    lenient: BrowserContext,
    login: Callable[..., None],
    screenshot: Callable[[Page, str], None],
    process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    login(make_staff("root", is_superuser=True), lenient)
    page = lenient.new_page()
    book = Book(tmp_path / "ledger.sqlite3")
    results = [hold.using(title="A long one").enqueue(), boom.using(title="A broken one").enqueue("no such column")]
    process("rqworker", "default", "--concurrency", "2", LEDGER_PATH=str(book.path))
    page.goto("/admin/taskcenter/task/")
    expect(page.locator("task-progress[state=failed]").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator("task-progress[state=processing]").first).to_be_visible(timeout=PATIENCE)
    found = []
    addresses = {"admin-tasks": "/admin/taskcenter/task/", "admin-workers": "/admin/taskcenter/worker/"}
    addresses["admin-task"] = f"/admin/taskcenter/task/{results[1].id}/change/"
    addresses["admin-retry"] = f"/admin/taskcenter/task/{results[1].id}/retry/"
    for name, address in addresses.items():
        page.goto(address)
        if name != "admin-task":  # its traceback names the paths of the machine
            screenshot(page, name)
        # Django's own pages scroll and label as Django does; ours is what stands in the content.
        found += [fault for fault in audited(page, name) if "task-progress" in fault or "tc-" in fault]
    book.open_gate(1)
    assert Task.objects.count() == 2
    assert found == []


def test_what_operators_ask_and_confirm_is_readable(
    lenient: BrowserContext,
    login: Callable[..., None],
    screenshot: Callable[[Page, str], None],
    process: Callable[..., Any],
) -> None:
    """Why a task waits, what failed alike, and what an action on many would do."""
    login(make_staff("root", is_superuser=True), lenient)
    page = lenient.new_page()
    waiting = mark.using(title="A waiting one", queue_name="analysis").enqueue()
    failed = [boom.using(title=f"Order {number}").enqueue(f"order {number} has no lines") for number in range(3)]
    process("rqworker", "default")
    page.goto(f"/admin/taskcenter/task/{failed[-1].id}/change/")
    expect(page.locator("task-progress").first).to_have_attribute("state", "failed", timeout=PATIENCE)
    group = FailureGroup.objects.get().fingerprint
    found = []

    def keep(name: str, address: str = "") -> None:
        if address:
            page.goto(address)
        screenshot(page, name)
        found.extend(fault for fault in audited(page, name) if "task-progress" in fault or "tc-" in fault)

    keep("admin-waiting", f"/admin/taskcenter/task/{waiting.id}/change/")
    keep("admin-failures", "/admin/taskcenter/failuregroup/")
    keep("admin-failure", f"/admin/taskcenter/failuregroup/{group}/change/")
    keep("admin-redrive", f"/admin/taskcenter/failuregroup/{group}/redrive/")
    page.goto("/admin/taskcenter/task/")
    page.set_viewport_size({"width": 1280, "height": 800})  # the last pictures were narrow ones
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("retry_selected")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).first.click()
    expect(page.get_by_label("Reason")).to_be_visible()
    keep("admin-retry-many")
    assert found == []
