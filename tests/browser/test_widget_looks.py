"""Every state of the widget on one page: looked at in both themes and widths, and under readers' own settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from .audit import faults_of
from .host import Line, frame, show

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


READ, CHECK, WRITE = (
    [name, NOW.timestamp() - seconds] for name, seconds in (("Read", 89.0), ("Check", 46.5), ("Write", 30.0))
)
STAGES = ["Read", "Check", "Profile", "Write"]
COUNTED = {"done": 620, "total": 1000, "unit": "rows"}
ERROR = {"type": "ValueError", "message": "line 41 has 9 fields, expected 8"}
GALLERY = [
    frame("blocked", attempt=0, seq=0, title="Blocked"),
    frame("scheduled", attempt=0, seq=0, due_at=ago(-7200), title="Scheduled"),
    frame("pending", attempt=0, seq=0, title="Pending"),
    frame(progress=0.62, message="orders.csv", stage="Read", rate=25, eta_s=30, **COUNTED, title="Running"),
    frame(message="asking the other side", done=7, title="Running, nobody knows how long", can=[]),
    frame(
        progress=0.4, shown="stalled", message="orders.csv", **COUNTED, title="Stalled", attempt=2, updated_at=ago(240)
    ),
    frame(progress=0.4, shown="cancelling", message="orders.csv", **COUNTED, title="Cancelling", can=[]),
    frame(progress=0.4, shown="lost", **COUNTED, worker_alive=False, title="Lost"),
    frame("scheduled", shown="retrying", attempt=2, error=ERROR, due_at=ago(-90), title="Retrying"),
    frame("completed", progress=1.0, message="Report written", done=1000, total=1000, unit="rows", title="Completed"),
    frame("failed", progress=0.62, error=ERROR, **COUNTED, title="Failed"),
    frame("cancelled", progress=0.2, title="Cancelled"),
]
STAGED = [
    frame(progress=0.3, message="row 620", stage="Check", stages=[READ, CHECK], title="In stages"),
    frame("failed", progress=0.7, error=ERROR, stage="Write", stages=[READ, CHECK, WRITE], title="Failed in a stage",
          updated_at=ago(0)),
    frame("completed", progress=1.0, stage="Write", stages=[READ, CHECK, WRITE], title="Stages done",
          updated_at=ago(0)),
]  # fmt: skip
BODY = """<p>Ended states, and those that run, live:</p>
{% for one in gallery %}<section>{% task_progress one %}<hr></section>{% endfor %}
{% for one in staged %}<section>{% task_progress one stages=stages %}<hr></section>{% endfor %}
<table>{% for one in rows %}<tr><th scope="row">{{ one.title }}</th>
<td>{% task_progress one compact=True cancel=False %}</td></tr>{% endfor %}</table>"""


@pytest.fixture
def lenient(new_context: Callable[..., BrowserContext]) -> BrowserContext:
    """A context in which axe may be injected; the policy itself is tested everywhere else."""
    return new_context(bypass_csp=True, reduced_motion="reduce")


def show_gallery(page: Page, **options: Any) -> Line:
    page.clock.set_fixed_time(NOW)  # two pictures of the same are the same
    line = Line(page, [*GALLERY, *STAGED])
    context = {"gallery": GALLERY, "staged": STAGED, "rows": GALLERY, "stages": STAGES, "csrf_token": "t"}
    show(page, BODY, **context, **options)
    for state in ("processing", "scheduled"):
        expect(page.locator(f"task-progress[state={state}]").first).to_have_attribute("data-conn", "live")
    return line


def test_every_state_is_readable_in_both_themes_and_widths(
    lenient: BrowserContext, screenshot: Callable[[Page, str], None]
) -> None:
    page = lenient.new_page()
    show_gallery(page, head='<meta name="color-scheme" content="light dark">')
    page.add_style_tag(content="html { background: Canvas }")  # the audit thinks of every page as white
    screenshot(page, "widget")
    found = []
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found += [f"{width} {scheme}: {fault}" for fault in faults_of(page)]
    assert found == []
