"""The database refuses rows that make no sense, whoever writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from taskcenter.models import Task
from tests.factories import make_task

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 101},
        {"priority": -101},
        {"progress": 1.01},
        {"progress": -0.01},
        {"failures": -1},
        {"failures": 1},
        {"crashes": 1},
        {"interrupted": 1},
        {"state": "completed"},
        {"finished_at": NOW},
        {"state": "scheduled"},
        {"state": "processing"},
        {"state": "processing", "attempt": 1},
        {"state": "processing", "attempted_at": NOW},
        {"state": "nonsense"},
        {"state": "nonsense", "finished_at": NOW},
    ],
    ids=str,
)
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    task = make_task()
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.filter(id=task.id).update(**changes)


@pytest.mark.parametrize("state", ["blocked", "scheduled", "pending", "processing", "completed", "failed", "cancelled"])
def test_every_state_has_rows_that_make_sense(state: str) -> None:
    task = make_task(state=state)
    assert Task.objects.filter(id=task.id).update(progress=None, priority=-100)
