"""Definitions: the `@task` function and its options, back-off, and the registry of all of them.

A definition is known by its dotted name. Workers look names up here, among what autodiscovery
imported; the text of a row is never imported.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cached_property
from inspect import isawaitable
from typing import Any, Literal, TypeVar, overload

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from .compat import DjangoTask, InvalidTask, TaskResult
from .conf import get_settings
from .exceptions import ConfigurationError, UnknownDefinition

__all__ = ["Exponential", "TaskDefinition", "backend_alias", "exponential", "find", "known_names", "task"]

BACKEND = "taskcenter.backend.TaskCenterBackend"
NAME_LIMIT = 255
"""Characters of a dotted name that a row has room for."""
PRIORITIES = range(-100, 101)
COUNT_LIMIT = 2**31 - 1
"""The largest number that a row has room for."""

Backoff = float | tuple[float, ...] | Callable[[BaseException, Any], float | None]
"""Seconds; seconds per failure (the last one repeats); or `(exception, task_result) -> seconds | None`."""

ON_CONFLICT = ("return", "raise", "replace")
"""What to do when a live task holds the unique key."""

F = TypeVar("F", bound=Callable[..., Any])

_registry: dict[str, TaskDefinition] = {}


@dataclass(frozen=True, kw_only=True)
class Exponential:
    """Seconds that double with each failure, with full jitter.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: a random value between
    0 and min(cap, base * 2 ** (failures - 1)); never under one second here.
    """

    base: float
    cap: float = 3600

    def seconds(self, failures: int) -> float:
        """The pause after the given number of failures (from 1 on)."""
        # The exponent is bounded so that a task with a thousand failures does not overflow.
        ceiling = min(self.cap, self.base * 2.0 ** min(failures - 1, 60))
        return max(1.0, random.uniform(0, ceiling))


def exponential(base: float, *, cap: float = 3600) -> Exponential:
    """Back-off of `base`, 2 x `base`, 4 x `base`... seconds, at most `cap`, with full jitter."""
    return Exponential(base=base, cap=cap)


@dataclass(frozen=True, kw_only=True)
class TaskDefinition(DjangoTask):
    """A task function with its options; what `@task` makes.

    Immutable: `using()` gives a changed copy, good for one enqueue.
    """

    timeout: float | None = None
    """Seconds one attempt may run; None: without limit."""
    max_attempts: int | None = None
    """Attempts that may fail before the task is failed; None: `TASKCENTER["MAX_ATTEMPTS"]`."""
    max_crashes: int | None = None
    """Attempts that may die with their process; None: `TASKCENTER["MAX_CRASHES"]`."""
    backoff: Exponential | Backoff = Exponential(base=5, cap=600)
    """Seconds between a failure and the next try."""
    stalled_after: float | Literal["usual"] | None = "usual"
    """Seconds without progress after which a running task is shown as stalled; "usual": by the pace of its
    latest completed tasks; None: never. Of the definition: it cannot be changed for one task."""
    owner: Any = None
    """The user this task works for."""
    title: str = ""
    """What people see instead of the definition's name."""
    unique_key: str | None = None
    """At most one live task per key; within one definition."""
    on_conflict: str = "return"
    """What enqueue does when a live task holds the key: "return" it; "raise" AlreadyEnqueued; or "replace" it
    while it waits: it is cancelled, with an event that names the new task. One that runs is returned."""
    tags: tuple[str, ...] = ()
    """Words to find the task by."""
    metadata: tuple[tuple[str, Any], ...] = ()
    """Anything JSON that travels with the task."""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise InvalidTask(problem)
        super().__post_init__()
        known = _registry.get(self.module_path)
        if known is None or known.func is not self.func:
            _registry[self.module_path] = self

    @classmethod
    def _reconstruct(cls, options: dict[str, Any]) -> TaskDefinition:
        return replace(find(options.pop("func")), **options)

    def __reduce__(self) -> tuple[Any, ...]:
        options = {item.name: getattr(self, item.name) for item in fields(self)}
        return (self._reconstruct, ({**options, "func": self.module_path},))

    def using(self, *, run_after: datetime | timedelta | None = None, **changes: Any) -> TaskDefinition:
        """A copy with other options; `run_after` may be a time or a delay.

        Raises TypeError on an option that does not exist, InvalidTask on a value that cannot work.
        """
        if isinstance(run_after, timedelta):
            run_after = timezone.now() + run_after
        if "stalled_after" in changes:
            raise InvalidTask("stalled_after is for all tasks of a definition: set it in @task, not in using().")
        given = {key: value for key, value in changes.items() if value is not None}
        if isinstance(given.get("metadata"), dict):
            given["metadata"] = tuple(given["metadata"].items())
        for name in ("tags", "backoff"):
            if isinstance(given.get(name), list):
                given[name] = tuple(given[name])
        if run_after is not None:
            given["run_after"] = run_after
        return replace(self, **given)

    def enqueue_many(self, arguments: Sequence[dict[str, Any]]) -> Sequence[TaskResult]:
        """One task per dict of keyword arguments: all or none, in one transaction and one push.

        The results are built when they are looked at.
        """
        results: Sequence[TaskResult] = self.get_backend().enqueue_many(self, arguments)  # type: ignore[attr-defined]
        return results

    async def aenqueue_many(self, arguments: Sequence[dict[str, Any]]) -> Sequence[TaskResult]:
        """See enqueue_many()."""
        return await sync_to_async(self.enqueue_many, thread_sensitive=True)(arguments)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here and now, also when it is a coroutine function."""
        outcome = self.func(*args, **kwargs)
        return async_to_sync(_awaited)(outcome) if isawaitable(outcome) else outcome

    @cached_property
    def module_path(self) -> str:
        """The dotted name that the registry and rows know it by."""
        return f"{self.func.__module__}.{self.func.__qualname__}"

    @property
    def attempts_allowed(self) -> int:
        """How many attempts may fail."""
        return self.max_attempts if self.max_attempts is not None else get_settings().MAX_ATTEMPTS

    @property
    def crashes_allowed(self) -> int:
        """How many attempts may die with their process."""
        return self.max_crashes if self.max_crashes is not None else get_settings().MAX_CRASHES

    def delay_after(self, failures: int, exception: BaseException, result: Any = None) -> float | None:
        """Seconds until the next try after so many failures; None: no further try."""
        match self.backoff:
            case Exponential():
                return self.backoff.seconds(failures)
            case tuple():
                return float(self.backoff[min(failures, len(self.backoff)) - 1]) if self.backoff else 0.0
            case int() | float():
                return float(self.backoff)
        return self.backoff(exception, result)


@overload
def task(function: F, /) -> TaskDefinition: ...


@overload
def task(
    *,
    queue_name: str = ...,
    priority: int = ...,
    backend: str = ...,
    takes_context: Literal[True, False] = ...,
    timeout: float | None = ...,
    max_attempts: int | None = ...,
    max_crashes: int | None = ...,
    backoff: Exponential | Backoff | list[float] = ...,
    stalled_after: float | Literal["usual"] | None = ...,
    title: str = ...,
    tags: Sequence[str] = ...,
) -> Callable[[F], TaskDefinition]: ...


def task(function: Any = None, /, *, backend: str | None = None, **options: Any) -> Any:
    """Make a module-level function a task; see `TaskDefinition` for the options.

    Raises InvalidTask when the function or an option cannot work, ConfigurationError when `TASKS`
    names no TaskCenter backend.
    """
    if isinstance(options.get("backoff"), list):
        options["backoff"] = tuple(options["backoff"])
    if "tags" in options:
        options["tags"] = tuple(options["tags"])
    alias = backend or backend_alias()

    def wrap(target: Callable[..., Any]) -> TaskDefinition:
        return TaskDefinition(func=target, backend=alias, **options)

    return wrap(function) if function else wrap


def backend_alias() -> str:
    """The first alias of `TASKS` whose backend is ours.

    Raises ConfigurationError when there is none.
    """
    ours = import_string(BACKEND)
    for alias, params in getattr(django_settings, "TASKS", {}).items():
        if params["BACKEND"] == BACKEND or issubclass(import_string(params["BACKEND"]), ours):
            return str(alias)
    raise ConfigurationError(
        f'TASKS names no TaskCenter backend; set TASKS = {{"default": {{"BACKEND": "{BACKEND}"}}}}.'
    )


def find(name: str) -> TaskDefinition:
    """The definition of that dotted name; raises UnknownDefinition when nothing registered it."""
    try:
        return _registry[name]
    except KeyError:
        raise UnknownDefinition(f"No task named {name!r} is registered in this process.") from None


def known_names() -> list[str]:
    """The dotted names of all definitions registered in this process, sorted."""
    return sorted(_registry)


def _problems(definition: TaskDefinition) -> Iterator[str]:
    """What cannot work in its options, as sentences for whoever wrote them."""
    given = definition
    if given.timeout is not None and not (_is_number(given.timeout) and given.timeout > 0):
        yield f"timeout must be a number of seconds greater than 0, or None for no limit; not {given.timeout!r}."
    if not _is_stalled_after(given.stalled_after):
        yield f'stalled_after must be a number of seconds greater than 0, "usual" or None; not {given.stalled_after!r}.'
    if given.max_attempts is not None and not _is_count(given.max_attempts, least=1):
        yield f"max_attempts must be a whole number of at least 1, not {given.max_attempts!r}."
    if given.max_crashes is not None and not _is_count(given.max_crashes, least=0):
        yield f"max_crashes must be a whole number of at least 0, not {given.max_crashes!r}."
    if given.priority not in PRIORITIES:
        yield f"priority must be a whole number between -100 and 100. It is {given.priority!r}."
    if not _is_backoff(given.backoff):
        yield (
            "backoff must be seconds, a list of seconds, exponential(…), or a function of the exception and the "
            f"result; not {given.backoff!r}."
        )
    yield from _textual_problems(given)
    yield from _time_problems(given.run_after)


def _textual_problems(given: TaskDefinition) -> Iterator[str]:
    if given.on_conflict not in ON_CONFLICT:
        yield f"on_conflict must be one of {', '.join(ON_CONFLICT)}; not {given.on_conflict!r}."
    if given.unique_key is not None and not (isinstance(given.unique_key, str) and given.unique_key):
        yield f"unique_key must be text that is not empty, or None; not {given.unique_key!r}."
    if not isinstance(given.title, str) or "\0" in given.title:
        yield f"title must be text without NUL characters, not {given.title!r}."
    if not isinstance(given.tags, tuple) or not all(isinstance(tag, str) for tag in given.tags):
        yield f"tags must be a list of words, not {given.tags!r}."
    if len(given.module_path) > NAME_LIMIT:
        yield f"The dotted name {given.module_path!r} is longer than {NAME_LIMIT} characters."


def _time_problems(run_after: Any) -> Iterator[str]:
    """Django Tasks refuses naive times under USE_TZ; the reverse would fail later, when times are compared."""
    if run_after is None:
        return
    if not isinstance(run_after, datetime):
        yield f"run_after must be a datetime or a timedelta, not {run_after!r}."
    elif not django_settings.USE_TZ and timezone.is_aware(run_after):
        yield "run_after must be a naive datetime while USE_TZ is False."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= COUNT_LIMIT


def _is_stalled_after(value: Any) -> bool:
    return value is None or value == "usual" or (_is_number(value) and value > 0)


def _is_backoff(value: Any) -> bool:
    if isinstance(value, Exponential):
        return _is_number(value.base) and _is_number(value.cap) and value.base > 0 and value.cap > 0
    steps = value if isinstance(value, tuple) else (value,)
    return callable(value) or all(_is_number(step) and step >= 0 for step in steps)


async def _awaited(outcome: Any) -> Any:
    return await outcome
