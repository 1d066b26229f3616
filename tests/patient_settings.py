"""The tests' settings with the heartbeats of the defaults: 10 s, and 30 s of silence before a worker counts as dead."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 a settings module is its names

TASKCENTER = {"GRACE": 2}
