"""Definitions: the `@task` function and its options, back-off, and the registry of all of them.

A definition is known by its dotted name. Workers look names up here, among what autodiscovery
imported; the text of a row is never imported.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, Literal, TypeVar, overload

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from .compat import DjangoTask, TaskResult
from .conf import get_settings
from .exceptions import ConfigurationError, UnknownDefinition

__all__ = ["Exponential", "TaskDefinition", "backend_alias", "exponential", "find", "known_names", "task"]

BACKEND = "taskcenter.backend.TaskCenterBackend"

Backoff = float | tuple[float, ...] | Callable[[BaseException, Any], float | None]
"""Seconds; seconds per failure (the last one repeats); or `(exception, task_result) -> seconds | None`."""

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
    owner: Any = None
    """The user this task works for."""
    title: str = ""
    """What people see instead of the definition's name."""
    unique_key: str | None = None
    """At most one live task per key."""
    tags: tuple[str, ...] = ()
    """Words to find the task by."""
    metadata: tuple[tuple[str, Any], ...] = ()
    """Anything JSON that travels with the task."""

    def __post_init__(self) -> None:
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

        Raises TypeError on an option that does not exist.
        """
        if isinstance(run_after, timedelta):
            run_after = timezone.now() + run_after
        given = {key: value for key, value in changes.items() if value is not None}
        if isinstance(given.get("metadata"), dict):
            given["metadata"] = tuple(given["metadata"].items())
        if "tags" in given:
            given["tags"] = tuple(given["tags"])
        if run_after is not None:
            given["run_after"] = run_after
        return replace(self, **given)

    def enqueue_many(self, arguments: Sequence[dict[str, Any]]) -> list[TaskResult]:
        """One task per dict of keyword arguments, in one transaction and one push."""
        results: list[TaskResult] = self.get_backend().enqueue_many(self, arguments)  # type: ignore[attr-defined]
        return results

    async def aenqueue_many(self, arguments: Sequence[dict[str, Any]]) -> list[TaskResult]:
        """See enqueue_many()."""
        return await sync_to_async(self.enqueue_many, thread_sensitive=True)(arguments)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here and now, also when it is a coroutine function."""
        outcome = self.func(*args, **kwargs)
        return async_to_sync(_awaited)(outcome) if isawaitable(outcome) else outcome

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


async def _awaited(outcome: Any) -> Any:
    return await outcome
