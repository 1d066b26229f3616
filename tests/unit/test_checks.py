"""Each system check is seen to speak, and to be silent on the site's own settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from taskcenter.checks import check_taskcenter

APPS = ["django.contrib.auth", "django.contrib.contenttypes"]


def found(**changes: Any) -> set[str]:
    with override_settings(**changes):
        return {str(message.id) for message in check_taskcenter()}


def test_the_site_s_own_settings_are_in_order() -> None:
    assert check_taskcenter() == []


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("taskcenter.E001", {"TASKCENTER": {"HEARTBEAT": 0}}),
        ("taskcenter.W001", {"TASKCENTER": {"HEARTBEET": 1}}),
        ("taskcenter.E002", {"TASKCENTER": {"VISIBLE": "no.such.rule"}}),
        ("taskcenter.E003", {"INSTALLED_APPS": [*APPS, "taskcenter"]}),
        ("taskcenter.E004", {"INSTALLED_APPS": [*APPS, "django_rq", "taskcenter"]}),
        ("taskcenter.E005", {"RQ_QUEUES": {}}),
        ("taskcenter.W002", {"RQ_QUEUES": None, "REDIS_URL": "redis://127.0.0.1/0"}),
        ("taskcenter.E006", {"RQ_QUEUES": {"other": {"URL": "redis://127.0.0.1/0"}}}),
        ("taskcenter.E007", {"TASKS": {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}}),
    ],
)
def test_a_mistake_is_named(expected: str, changes: dict[str, Any]) -> None:
    assert expected in found(**changes)


def test_a_database_that_was_never_tried_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connections["default"]), "vendor", "mysql")
    assert "taskcenter.E008" in found()


def test_sqlite_without_immediate_transactions_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections["default"]
    monkeypatch.setattr(type(connection), "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"transaction_mode": "IMMEDIATE"})
    assert "taskcenter.W003" not in found()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    assert "taskcenter.W003" in found()


def test_our_app_stands_before_django_rq_here() -> None:
    order = settings.INSTALLED_APPS
    assert order.index("taskcenter") < order.index("django_rq")
