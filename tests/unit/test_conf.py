from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from taskcenter import ConfigurationError
from taskcenter.conf import get_settings, redis_queues, unknown_keys

DOCUMENTED = {
    "VISIBLE": "taskcenter.models.visible_to",
    "HEARTBEAT": 10,
    "STALE_AFTER": 30,
    "GRACE": 25,
    "CONCURRENCY": 1,
    "BATCH": 64,
    "MAX_ATTEMPTS": 1,
    "MAX_CRASHES": 3,
    "TASK_RETENTION": timedelta(days=7),
    "REPORT_RETENTION": None,
    "ARGS_LIMIT": 65_536,
    "RESULT_LIMIT": 1_048_576,
    "PROGRESS_PER_SECOND": 4,
    "TASK_MODULES": (),
    "UNKNOWN_FAILS_AFTER": timedelta(hours=1),
    "FOREIGN_JOBS": "refuse",
    "MASK": (
        "passw",
        "pwd",
        "secret",
        "token",
        "api_key",
        "private_key",
        "authorization",
        "credential",
        "cookie",
    ),
}


@override_settings(TASKCENTER={})
def test_the_defaults_are_the_documented_ones() -> None:
    settings = get_settings()
    assert {name: getattr(settings, name) for name in DOCUMENTED} == DOCUMENTED
    assert set(settings.__slots__) == {*DOCUMENTED, "extra"}


def test_a_changed_setting_is_seen_at_once_and_forgotten_after() -> None:
    before = get_settings().GRACE
    with override_settings(TASKCENTER={"GRACE": before + 3}):
        assert before + 3 == get_settings().GRACE
    assert before == get_settings().GRACE


@override_settings(TASKCENTER={"GRACE": 4, "HEARTBEET": 1, "RETRIES": 3})
def test_a_typing_error_is_named_and_does_no_harm() -> None:
    assert unknown_keys() == ["HEARTBEET", "RETRIES"]
    assert get_settings().GRACE == 4


@pytest.mark.parametrize(
    "bad",
    [
        {"HEARTBEAT": 0},
        {"STALE_AFTER": -1},
        {"HEARTBEAT": 10, "STALE_AFTER": 19},
        {"HEARTBEAT": 0.01},
        {"HEARTBEAT": float("nan")},
        {"STALE_AFTER": float("inf")},
        {"GRACE": -1},
        {"CONCURRENCY": 0},
        {"BATCH": 0},
        {"BATCH": 65},
        {"MAX_ATTEMPTS": 0},
        {"MAX_CRASHES": -1},
        {"PROGRESS_PER_SECOND": 0},
        {"FOREIGN_JOBS": "drop"},
        {"MASK": "token"},
    ],
    ids=str,
)
def test_a_value_that_cannot_work_is_refused_by_name(bad: dict[str, Any]) -> None:
    with override_settings(TASKCENTER=bad), pytest.raises(ConfigurationError, match=list(bad)[-1]):
        get_settings()


@override_settings(TASKCENTER=["HEARTBEAT"])
def test_settings_that_are_not_a_dict_are_django_s_kind_of_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="dict"):
        get_settings()


def test_max_crashes_may_be_zero() -> None:
    with override_settings(TASKCENTER={"MAX_CRASHES": 0}):
        assert get_settings().MAX_CRASHES == 0


def test_without_rq_queues_redis_url_gives_one_queue() -> None:
    with override_settings(RQ_QUEUES=None, REDIS_URL="redis://example/1"):
        assert redis_queues() == {"default": {"URL": "redis://example/1"}}
    with override_settings(RQ_QUEUES=None, REDIS_URL=""):
        assert redis_queues() == {}
    with override_settings(RQ_QUEUES={"mail": {"URL": "x"}}, REDIS_URL="redis://example/1"):
        assert list(redis_queues()) == ["mail"]
