"""The main job: sign in, upload, watch, read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket, expect

from analysis.models import Analysis
from tests.factories import make_user

from .steps import PATIENCE, sales, sign_in, upload

pytestmark = pytest.mark.django_db(transaction=True)


class Frames:
    """What the server said over the page's websockets, and how often the page was loaded."""

    def __init__(self, page: Page) -> None:
        self.frames: list[dict[str, Any]] = []
        self.loads = 0
        page.on("websocket", self._listen)
        page.on("load", self._count)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda text: self.frames.append(json.loads(text)))

    def _count(self, _page: Page) -> None:
        self.loads += 1

    def fractions(self) -> list[float]:
        """The fractions told while the task was processing, in order."""
        states = [state for frame in self.frames for state in frame.get("tasks", ()) if isinstance(state, dict)]
        return [state["progress"] for state in states if state["state"] == "processing" and state["progress"]]


def test_a_person_uploads_a_file_sees_the_bar_move_and_reads_the_report(
    page: Page, process: Callable[..., Any], tmp_path: Path
) -> None:
    sign_in(page, make_user("ann"))
    frames = Frames(page)
    upload(page, sales(tmp_path / "sales.csv", 200_000))
    loaded = frames.loads

    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    process("rqworker", "analysis", "default")  # now: a quick machine would be done before anybody watches
    ready = page.get_by_role("link", name=re.compile("Report ready"))
    expect(ready).to_be_visible(timeout=PATIENCE)
    expect(page.locator("task-progress")).to_have_attribute("state", "completed")
    seen = frames.fractions()
    assert len(set(seen)) >= 2, "the bar moved over the websocket"
    assert seen == sorted(seen), "and never back"
    assert frames.loads == loaded, "and the page was not loaded again"

    ready.click()
    expect(page.get_by_role("heading", name="sales.csv")).to_be_visible()
    expect(page.get_by_role("heading", name="What we found")).to_be_visible()


def test_the_bell_counts_a_finished_analysis_without_reloading(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    login(make_user("ann"))
    upload(page, sales(tmp_path / "sales.csv", 200))
    # Not on the run page: who looks at that has been told.
    page.goto("/analyses/")
    bell = page.locator("[data-taskcenter-unread]").first
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    process("rqworker", "analysis")
    expect(bell).to_have_text(re.compile("1"), timeout=PATIENCE)

    page.goto("/tasks/notifications/")
    expect(page.get_by_role("main")).to_contain_text("sales.csv")


def test_a_file_that_cannot_be_read_ends_on_a_page_that_says_why(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    login(make_user("ann"))
    broken = tmp_path / "picture.csv"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    page.goto("/analyses/new/")
    page.locator("input[type=file]").set_input_files(broken)
    page.get_by_role("button", name="Upload and analyse").click()
    worker = process("rqworker", "analysis")
    expect(page.get_by_role("main")).to_contain_text(re.compile("PNG"), timeout=PATIENCE)
    assert worker.popen.poll() is None, "the worker lives"


def test_a_running_analysis_is_cancelled_from_its_page(
    page: Page, login: Callable[..., None], process: Callable[..., Any], tmp_path: Path
) -> None:
    login(make_user("ann"))
    upload(page, sales(tmp_path / "sales.csv", 200))
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live", timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("task-progress")).to_have_attribute("state", "cancelled", timeout=PATIENCE)
    process("rqworker", "analysis", "--burst").wait(60)
    assert not Analysis.objects.filter(report__isnull=False).exists()
