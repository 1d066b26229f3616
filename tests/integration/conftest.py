"""Integration tests each start with the run's Redis up and empty.

A test that starts real processes marks itself `django_db(transaction=True)`, or asks for the `process`
fixture, which does so: others see committed rows only.
"""

from __future__ import annotations

import pytest
import redis


@pytest.fixture(autouse=True)
def _clean_redis(redis_client: redis.Redis) -> None:
    """Empty, before each test."""
