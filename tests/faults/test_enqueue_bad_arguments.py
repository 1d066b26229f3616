"""Arguments that cannot be kept: too large, not JSON, not text a database takes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from django.db import transaction

from taskcenter import InvalidPayload
from taskcenter.models import Task
from tests.faults.stack import Stack
from tests.ledger.tasks import echo, mark


@pytest.mark.parametrize("bad", ["x" * 70_000, object(), math.nan, "a\0b", "\ud800"], ids=lambda bad: repr(bad)[:12])
def test_they_are_refused_before_anything_is_written_and_spoil_nothing(stack: Stack, bad: Any) -> None:
    with transaction.atomic():
        for call in (
            lambda: echo.enqueue(bad),
            lambda: echo.enqueue(value=bad),
            lambda: echo.enqueue_many([{"value": 1}, {"value": bad}]),
        ):
            with pytest.raises(InvalidPayload):
                call()
        good = stack.enqueue(mark)
    assert [str(task.id) for task in Task.objects.all()] == [good]
    assert stack.waiting_pointers() == 1
