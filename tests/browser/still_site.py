"""The site at noon of the office's day: its time stands still, three pages go wrong, and files are shown."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import time_machine

from tests.browser.noon import NOON

time_machine.travel(NOON, tick=False).start()
os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get("STILL_SETTINGS", "tests.browser.still_settings")

from django.core.exceptions import PermissionDenied  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.csrf import csrf_failure  # noqa: E402

from analysis.asgi import application  # noqa: E402 the time first, then settings, then what needs them
from analysis.urls import urlpatterns as site  # noqa: E402
from taskcenter import task  # noqa: E402
from taskcenter.models import Report, clock  # noqa: E402
from taskcenter.reports import as_html  # noqa: E402

__all__ = ["application"]

clock.by_database = False


def _broken(request: HttpRequest) -> NoReturn:
    raise RuntimeError("as the catalogue of pages asks for")


def _refused(request: HttpRequest) -> NoReturn:
    raise PermissionDenied


def _forged(request: HttpRequest) -> HttpResponse:
    return csrf_failure(request, "as the catalogue of pages asks for")


def _as_file(html: str) -> HttpResponse:
    """A file that a person opens from disk: what it may do stands in itself."""
    return HttpResponse(html, headers={"Content-Security-Policy": "frame-ancestors 'none'"})


def _drilled(request: HttpRequest) -> HttpResponse:
    # Here, for the drill's tasks are no site's.
    from taskcenter.drill import page as drill
    from taskcenter.drill.plugs import Pull
    from taskcenter.drill.verdict import Finding, Verdict

    pulled = Pull("worker", "kill -9 of a worker while it ran 3 tasks", fired=True, right_after=3.4, came="all 3 ended")
    silent = Pull("redis", "kill -9 of Redis, nothing kept")
    held = Finding("Nothing is lost: what was committed has ended", "400 tasks", [])
    broken = Finding("Nothing lands twice", "412 attempts", ["Task 7 has two results", "Task 9 has two results"])
    verdict = Verdict([held, broken], [pulled, silent])
    return _as_file(drill.as_html(drill.Drilled(7, NOON, 75.2, 400, "PostgreSQL 18.1, Valkey 9.0", verdict)))


def _downloaded(request: HttpRequest, pk: int) -> HttpResponse:
    return _as_file(as_html(Report.objects.get(pk=pk)))


def _sell(name: str) -> None:
    """A task of a shop that nobody has to install."""

    def nothing(**_: Any) -> None:
        raise AssertionError("No worker knows the shop.")

    nothing.__module__, nothing.__name__, nothing.__qualname__ = "shop.tasks", name, name
    task(nothing)


site += [path("broken/", _broken), path("refused/", _refused), path("forged/", _forged)]
site += [path("drilled/", _drilled), path("downloaded/<int:pk>/", _downloaded)]
for name in ("import_orders", "write_invoices", "send_digest", "resize_pictures"):
    _sell(name)
