"""What is not yours is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from analysis.models import Analysis
from tests.factories import make_user

from .steps import PATIENCE, sales, upload

pytestmark = pytest.mark.django_db(transaction=True)

ASK = """id => new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://${location.host}/ws/taskcenter/`);
  socket.onopen = () => socket.send(JSON.stringify({type: 'subscribe', tasks: [{id}]}));
  socket.onmessage = event => {
    const frame = JSON.parse(event.data);
    if (frame.type === 'snapshot') { socket.close(); resolve(frame); }
  };
  socket.onclose = event => reject(new Error(`closed with ${event.code}`));
})"""


def test_another_user_finds_neither_page_nor_state_nor_report(
    page: Page,
    login: Callable[..., None],
    new_context: Callable[..., BrowserContext],
    console: Any,
    process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    console.allow("404")
    login(make_user("ann"))
    upload(page, sales(tmp_path / "sales.csv", 200))
    run_page = page.url
    process("rqworker", "analysis")
    expect(page.locator("task-progress")).to_have_attribute("state", "completed", timeout=PATIENCE)
    analysis = Analysis.objects.get()
    task_id, report_id = str(analysis.task_id), analysis.report_id

    stranger = new_context()
    login(make_user("bob"), stranger)
    other = stranger.new_page()
    hidden = [
        run_page,
        f"{run_page}report/",
        f"/tasks/tasks/{task_id}/",
        f"/tasks/reports/{report_id}/",
        f"/tasks/reports/{report_id}/json/",
        f"/tasks/reports/{report_id}/html/",
    ]
    for address in hidden:
        response = other.goto(address)
        assert response is not None
        assert response.status == 404, address
    assert stranger.request.get(f"/tasks/state/?ids={task_id}").json()["denied"] == [task_id]
    other.goto("/analyses/")
    answer = other.evaluate(ASK, task_id)
    assert answer["denied"] == [task_id]
    assert answer["tasks"] == []
