"""The tests' settings for a worker under `faketime`.

Python sleeps until a moment of the monotonic clock, which libfaketime turns into one that the kernel refuses
(EINVAL); `select` waits for a span of time and is left alone.
"""

from __future__ import annotations

import select
import time

from tests.settings import *  # noqa: F403 a settings module is its names


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
