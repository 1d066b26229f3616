"""Unit tests run without Redis: at REDIS_URL nobody listens, and nobody may start to."""

from __future__ import annotations

import pytest


@pytest.fixture
def redis_url() -> str:
    pytest.fail("A unit test asked for Redis: it belongs to tests/integration.")
