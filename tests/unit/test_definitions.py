from __future__ import annotations

import math
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import override_settings

from taskcenter import ConfigurationError, UnknownDefinition, exponential, task
from taskcenter.compat import InvalidTask
from taskcenter.definitions import Exponential, TaskDefinition, backend_alias, find, known_names
from tests.ledger.tasks import add, add_async, flaky, hold

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def module_level() -> None:
    """A function that could be a task."""


def test_a_definition_is_found_by_its_dotted_name() -> None:
    assert find("tests.ledger.tasks.add") is add
    assert "tests.ledger.tasks.add" in known_names()
    assert known_names() == sorted(known_names())


def test_a_name_that_nothing_registered_is_unknown() -> None:
    with pytest.raises(UnknownDefinition, match=r"os\.system"):
        find("os.system")


def test_a_changed_copy_does_not_take_the_place_of_the_original() -> None:
    changed = add.using(priority=5)
    assert changed.priority == 5
    assert add.priority == 0
    assert find(add.module_path) is add


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        add.using(colour="red")


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("when", [timedelta(hours=1), NOW + timedelta(hours=1)])
def test_run_after_is_a_time_or_a_delay(when: Any) -> None:
    assert add.using(run_after=when).run_after == NOW + timedelta(hours=1)


def test_options_given_as_lists_and_dicts_are_kept_hashable() -> None:
    changed = flaky.using(tags=["a", "b"], metadata={"source": "import"})
    assert changed.tags == ("a", "b")
    assert changed.metadata == (("source", "import"),)
    assert flaky.backoff == (7.0, 9.0)
    assert isinstance(hash((changed.tags, changed.metadata, changed.backoff)), int)


def test_a_definition_survives_pickling_as_itself_with_its_changes() -> None:
    copy = pickle.loads(pickle.dumps(add.using(priority=7, title="Sum")))  # noqa: S301 our own bytes
    assert isinstance(copy, TaskDefinition)
    assert (copy.func, copy.priority, copy.title) == (add.func, 7, "Sum")


def test_calling_runs_the_function_here_also_when_it_is_async() -> None:
    assert add.call(1, b=2) == 3
    assert add_async.call(1, 2) == 3


def test_a_function_that_workers_could_not_find_is_refused() -> None:
    def inner() -> None: ...

    with pytest.raises(InvalidTask):
        task(inner)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("priority", value) for value in (-101, 101, 1.5, "high")),
        *(("timeout", value) for value in (0, -1, math.nan, math.inf, "10", True)),
        *(("max_attempts", value) for value in (0, -1, 1.5, "3", True, 2**31)),
        *(("max_crashes", value) for value in (-1, 0.5, "3", False, 2**31)),
        *(("backoff", value) for value in (-1, math.nan, "5", (1, -1), (1, "2"), exponential(0), exponential(-5))),
        *(("on_conflict", value) for value in ("ignore", "", 1)),
        *(("unique_key", value) for value in ("", 7, ("a", "b"))),
        *(("title", value) for value in (7, "a\0b")),
        ("tags", (1, 2)),
        *(("run_after", value) for value in (5, "tomorrow")),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(InvalidTask, match=rf"{option} must be"):
        add.using(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("priority", value) for value in (-100, 100)),
        *(("timeout", value) for value in (0.1, 5)),
        ("max_attempts", 1),
        ("max_crashes", 0),
        *(("backoff", value) for value in (0, 0.5, (), (1, 2.5), [1, 2], exponential(0.1), lambda *_: None)),
        *(("on_conflict", value) for value in ("return", "raise", "replace")),
    ],
)
def test_an_option_at_its_edge_is_taken(option: str, value: Any) -> None:
    assert getattr(add.using(**{option: value}), option) == (tuple(value) if isinstance(value, list) else value)


def test_options_are_checked_where_a_task_is_defined_too() -> None:
    with pytest.raises(InvalidTask, match="max_attempts must be"):
        task(max_attempts=0)(module_level)


def test_a_time_without_a_zone_is_refused_as_django_tasks_does() -> None:
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        add.using(run_after=NOW.replace(tzinfo=None))


def test_a_time_with_a_zone_is_refused_where_times_have_none() -> None:
    with override_settings(USE_TZ=False):
        with pytest.raises(InvalidTask, match="naive datetime while USE_TZ is False"):
            add.using(run_after=NOW)
        assert add.using(run_after=NOW.replace(tzinfo=None)).run_after == NOW.replace(tzinfo=None)


def test_limits_come_from_the_settings_unless_the_task_has_its_own() -> None:
    with override_settings(TASKCENTER={"MAX_ATTEMPTS": 4, "MAX_CRASHES": 5}):
        assert (add.attempts_allowed, add.crashes_allowed) == (4, 5)
        assert flaky.attempts_allowed == 3
        assert hold.using(max_crashes=0).crashes_allowed == 0


@pytest.mark.parametrize(
    ("backoff", "failures", "seconds"),
    [
        (3, 1, 3.0),
        (0.5, 9, 0.5),
        ((7.0, 9.0), 1, 7.0),
        ((7.0, 9.0), 2, 9.0),
        ((7.0, 9.0), 50, 9.0),
        ((), 1, 0.0),
    ],
)
def test_backoff_gives_the_seconds_for_each_failure(backoff: Any, failures: int, seconds: float) -> None:
    assert flaky.using(backoff=backoff).delay_after(failures, ValueError()) == seconds


def test_a_backoff_function_sees_the_error_and_may_say_no() -> None:
    def by_error(error: BaseException, _result: Any) -> float | None:
        return None if isinstance(error, KeyError) else 2.0

    changed = flaky.using(backoff=by_error)
    assert changed.delay_after(1, ValueError()) == 2.0
    assert changed.delay_after(1, KeyError()) is None


@pytest.mark.parametrize(("failures", "ceiling"), [(1, 5), (2, 10), (3, 20), (10, 600), (5000, 600)])
def test_exponential_stays_under_its_ceiling_and_over_a_second(failures: int, ceiling: float) -> None:
    pauses = [exponential(5, cap=600).seconds(failures) for _ in range(300)]
    assert min(pauses) >= 1
    assert max(pauses) <= ceiling
    assert len(set(pauses)) > 100, "no jitter"


def test_two_exponentials_alike_are_equal() -> None:
    assert exponential(5) == Exponential(base=5, cap=3600)


def test_the_first_alias_with_our_backend_is_ours() -> None:
    dummy = {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}
    ours = {"BACKEND": "taskcenter.backend.TaskCenterBackend"}
    with override_settings(TASKS={"default": dummy, "long": ours}):
        assert backend_alias() == "long"
    with override_settings(TASKS={"default": dummy}), pytest.raises(ConfigurationError, match="TASKS"):
        backend_alias()
