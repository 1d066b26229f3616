"""The tests' settings, and the soak's tasks."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 a settings module is its names
from tests.settings import TASKCENTER as TEST_SPEED

TASKCENTER = {**TEST_SPEED, "TASK_MODULES": ("tests.ledger.soak",)}
