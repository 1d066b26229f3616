"""What Django's tests of its dummy backend ask of a backend beyond the API: `results` and `clear()`."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any
from unittest import mock

from django.db import connection
from django.utils import timezone
from django.utils.functional import cached_property

from taskcenter.backend import TaskCenterBackend
from taskcenter.models import Task


class WithResults(TaskCenterBackend):
    results: Any = cached_property(lambda _: [])

    def enqueue(self, *args: Any, **kwargs: Any) -> Any:
        result = super().enqueue(*args, **kwargs)
        self.results.append(super().get_result(result.id))
        return result

    def get_result(self, result_id: str) -> Any:
        with mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"), closing(connection):
            ended = Task.objects.filter(id__in=[result.id for result in self.results if result.is_finished])
            ended.update(state="completed", finished_at=timezone.now())
            return super().get_result(result_id)

    def clear(self) -> None:
        Task.objects.all().delete()
        self.results.clear()
