"""The site at noon of the office's day: its time stands still, its shop has tasks, and three pages go wrong."""

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
from taskcenter.models import clock  # noqa: E402

__all__ = ["application"]

clock.by_database = False


def _broken(request: HttpRequest) -> NoReturn:
    raise RuntimeError("as the catalogue of pages asks for")


def _refused(request: HttpRequest) -> NoReturn:
    raise PermissionDenied


def _forged(request: HttpRequest) -> HttpResponse:
    return csrf_failure(request, "as the catalogue of pages asks for")


def _sell(name: str) -> None:
    """A task of a shop that nobody has to install."""

    def nothing(**_: Any) -> None:
        raise AssertionError("No worker knows the shop.")

    nothing.__module__, nothing.__name__, nothing.__qualname__ = "shop.tasks", name, name
    task(nothing)


site += [path("broken/", _broken), path("refused/", _refused), path("forged/", _forged)]
for name in ("import_orders", "write_invoices", "send_digest", "resize_pictures"):
    _sell(name)
