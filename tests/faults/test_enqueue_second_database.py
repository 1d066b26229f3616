"""Tasks live in a database of their own: rows go there, and the push waits for the commit of that one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from taskcenter.models import Task
from tests.faults.stack import Stack
from tests.ledger.tasks import add

ALIAS = "tasks"


class Router:
    """All of taskcenter in a database of its own, everything else where it was."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return ALIAS if model._meta.app_label == "taskcenter" else None

    db_for_read = db_for_write


@pytest.fixture
def _second(stack: Stack, settings: Any, tmp_path: Path) -> Iterator[None]:
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "tasks.sqlite3")}
    connections.settings[ALIAS] = connections.configure_settings({**settings.DATABASES, ALIAS: config})[ALIAS]
    connections[ALIAS].connect()  # by itself: Django's tests let nobody connect to what they have not set up
    call_command("migrate", database=ALIAS, verbosity=0)
    settings.DATABASE_ROUTERS = [Router()]
    yield
    settings.DATABASE_ROUTERS = []
    connections[ALIAS].close()
    del connections[ALIAS]
    del connections.settings[ALIAS]


def enqueue_all_ways() -> None:
    add.enqueue(1, 2)
    add.using(unique_key="once").enqueue(1, 2)
    add.using(unique_key="once").enqueue(1, 2)
    add.enqueue_many([{"a": 1, "b": 2}] * 3)


@pytest.mark.usefixtures("_second")
def test_rows_go_where_the_router_says(stack: Stack) -> None:
    enqueue_all_ways()
    assert Task.objects.using(ALIAS).count() == 5
    assert Task.objects.using("default").count() == 0
    assert stack.waiting_pointers() == 5


@pytest.mark.usefixtures("_second")
def test_the_push_waits_for_that_commit_and_for_no_other(stack: Stack) -> None:
    with transaction.atomic(using="default"), transaction.atomic(using=ALIAS):
        enqueue_all_ways()
        assert stack.waiting_pointers() == 0
    assert stack.waiting_pointers() == 5
    with transaction.atomic(using="default"):
        enqueue_all_ways()
        assert stack.waiting_pointers() == 9, "committed already, and the holder of the key is still the first"


@pytest.mark.usefixtures("_second")
def test_a_rollback_there_leaves_nothing(stack: Stack) -> None:
    with contextlib.suppress(RuntimeError), transaction.atomic(using=ALIAS):
        enqueue_all_ways()
        raise RuntimeError
    assert Task.objects.using(ALIAS).count() == 0
    assert stack.waiting_pointers() == 0
