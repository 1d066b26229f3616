"""Every page there is: its name, its address, who looks. One line each; test_pages.py looks at all of them.

    _look("task-failed", "/tasks/tasks/{failed}/")

`{failed}` is a name that office.py gives. A page needs no picture twice: one that differs from another
in words only is looked at (`picture=False`) and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from playwright.sync_api import Page, expect

from .steps import PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at one page."""

    name: str
    address: str
    who: str = "ann"
    """A user of the office; empty for a stranger."""
    status: int = 200
    then: Callable[[Page], None] | None = None
    """What is done on the page before it is looked at."""
    picture: bool = True

    def at(self, site: str, ids: Mapping[str, object]) -> Look:
        """The same with the whole address."""
        return replace(self, address=site + self.address.format_map(ids))


def _look(name: str, address: str, **more: object) -> Look:
    return replace(Look(name=name, address=address), **more)  # type: ignore[arg-type]


def _admin(name: str, address: str, **more: object) -> Look:
    return _look(f"admin-{name}", f"/admin/{address}", **{"who": "root", **more})


def signs_in_wrongly(page: Page) -> None:
    page.get_by_label("User name").fill("ann")
    page.get_by_label("Password").fill("not that one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)


def uploads_a_picture(page: Page) -> None:
    picture = {"name": "holiday.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + bytes(90)}
    page.locator("input[type=file]").set_input_files(picture)  # type: ignore[arg-type]
    page.get_by_role("button", name="Upload and analyse").click()
    expect(page.get_by_role("alert").filter(has_text=".").first).to_be_visible(timeout=PATIENCE)


def selects_all_and(action: str) -> Callable[[Page], None]:
    def does(page: Page) -> None:
        page.locator("#action-toggle").check()
        page.get_by_label("Action:").select_option(action)
        page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).first.click()
        expect(page.get_by_label("Reason")).to_be_visible(timeout=PATIENCE)

    return does


NOBODY = "00000000-0000-7000-8000-000000000000"

STRANGERS = [
    _look("sign-in", "/sign-in/", who=""),
    _look("sign-in-wrong", "/sign-in/", who="", then=signs_in_wrongly),
    _look("not-found-stranger", "/nowhere/", who="", status=404, picture=False),
]

PEOPLE = [
    _look("analyses", "/analyses/"),
    _look("analyses-none", "/analyses/", who="nora"),
    _look("upload", "/analyses/new/"),
    _look("upload-wrong", "/analyses/new/", then=uploads_a_picture),
    _look("run-waiting", "/analyses/{queued}/"),
    _look("run", "/analyses/{analysing}/"),
    _look("run-done", "/analyses/{ready}/"),
    _look("run-failed", "/analyses/{broken}/"),
    _look("run-cancelled", "/analyses/{stopped}/"),
    _look("report", "/analyses/{ready}/report/"),
    _look("tasks", "/tasks/"),
    _look("tasks-none", "/tasks/", who="nora"),
    _look("task-running", "/tasks/tasks/{running}/"),
    _look("task-failed", "/tasks/tasks/{failed}/"),
    _look("task-waiting", "/tasks/tasks/{waiting}/", picture=False),
    _look("task-retrying", "/tasks/tasks/{retrying}/"),
    _look("task-lost", "/tasks/tasks/{lost}/", picture=False),
    _look("task-stalled", "/tasks/tasks/{stalled}/", picture=False),
    _look("task-cancelling", "/tasks/tasks/{cancelling}/", picture=False),
    _look("task-completed", "/tasks/tasks/{completed}/"),
    _look("task-cancelled", "/tasks/tasks/{cancelled}/", picture=False),
    _look("report-plain", "/tasks/reports/{digest}/"),
    _look("notifications", "/tasks/notifications/"),
    _look("notifications-none", "/tasks/notifications/", who="nora"),
    _look("tasks-narrowed-to-none", "/tasks/?q=nothing", picture=False),
    _look("tasks-failed", "/tasks/?state=failed&q=orders", picture=False),
    _look("shared", "/tasks/shared/{share_running}/", who=""),
    _look("shared-completed", "/tasks/shared/{share_completed}/", who=""),
    _look("shared-failed", "/tasks/shared/{share_failed}/", who="", picture=False),
    _look("shared-gone", "/tasks/shared/nothing/", who="", status=404),
    _look("downloaded-report", "/downloaded/{penguins}/", picture=False),
    _look("downloaded-plain-report", "/downloaded/{digest}/", picture=False),
    _look("drill", "/drilled/"),
    _look("not-found", f"/analyses/{NOBODY}/", status=404),
    _look("not-yours", "/tasks/tasks/{failed}/", who="nora", status=404, picture=False),
    _look("not-allowed", "/refused/", status=403),
    _look("form-expired", "/forged/", status=403),
    _look("something-broke", "/broken/", status=500),
]

ADMIN = [
    _admin("home", ""),
    _admin("taskcenter", "taskcenter/"),
    _admin("dashboard", "taskcenter/dashboard/"),
    _admin("dashboard-week", "taskcenter/dashboard/?range=7d", picture=False),
    _admin("tasks", "taskcenter/task/"),
    _admin("tasks-narrowed-to-none", "taskcenter/task/?q=nothing", picture=False),
    _admin("tasks-viewer", "taskcenter/task/", who="vera", picture=False),
    _admin("task-failed", "taskcenter/task/{failed}/change/"),
    _admin("task-failed-viewer", "taskcenter/task/{failed}/change/", who="vera", picture=False),
    _admin("task-running", "taskcenter/task/{running}/change/"),
    _admin("waiting", "taskcenter/task/{waiting}/change/"),
    _admin("task-lost", "taskcenter/task/{lost}/change/", picture=False),
    _admin("task-retrying", "taskcenter/task/{retrying}/change/", picture=False),
    _admin("task-completed", "taskcenter/task/{completed}/change/", picture=False),
    _admin("retry", "taskcenter/task/{failed}/retry/"),
    _admin("cancel", "taskcenter/task/{running}/cancel/", picture=False),
    _admin("retry-many", "taskcenter/task/", then=selects_all_and("retry_selected")),
    _admin("task-history", "taskcenter/task/{failed}/history/", picture=False),
    _admin("task-gone", f"taskcenter/task/{NOBODY}/change/", picture=False),
    _admin("failures", "taskcenter/failuregroup/"),
    _admin("failure", "taskcenter/failuregroup/{alike}/change/"),
    _admin("redrive", "taskcenter/failuregroup/{alike}/redrive/"),
    _admin("queues", "taskcenter/queue/"),
    _admin("queue", "taskcenter/queue/analysis/change/"),
    _admin("pause", "taskcenter/queue/", then=selects_all_and("pause_selected")),
    _admin("workers", "taskcenter/worker/"),
    _admin("worker", "taskcenter/worker/{worker}/change/"),
    _admin("reports", "taskcenter/report/"),
    _admin("report", "taskcenter/report/{digest}/change/", picture=False),
    _admin("duties", "taskcenter/duty/"),
    _admin("duty", "taskcenter/duty/dispatch/change/", picture=False),
    _admin("notifications", "taskcenter/notification/"),
    _admin("analyses", "analysis/analysis/"),
    _admin("analysis", "analysis/analysis/{ready}/change/", picture=False),
    _admin("datasets", "analysis/dataset/", picture=False),
    _admin("not-allowed", "taskcenter/task/", who="stan", status=403),
    _admin("no-dashboard", "taskcenter/dashboard/", who="vera", status=403, picture=False),
    _look("no-redis-queues", "/django-rq/", who="vera", status=403, picture=False),
]

FIRST_DAY = [
    _admin("home-none", "", picture=False),
    _admin("dashboard-none", "taskcenter/dashboard/"),
    _admin("tasks-none", "taskcenter/task/"),
    _admin("failures-none", "taskcenter/failuregroup/", picture=False),
    _admin("queues-none", "taskcenter/queue/", picture=False),
    _admin("workers-none", "taskcenter/worker/"),
    _admin("reports-none", "taskcenter/report/", picture=False),
    _admin("duties-none", "taskcenter/duty/", picture=False),
    _look("analyses-first", "/analyses/", who="root", picture=False),
]
