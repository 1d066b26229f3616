"""The tasks of the conformance suite: plain functions until `on()` makes them tasks of a backend.

So this module can be imported whatever backend is the default, also one that refuses some of them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskcenter.compat import DjangoTaskContext, task_backends

__all__ = ["on"]


def add(a: int, b: int) -> int:
    return a + b


async def add_async(a: int, b: int) -> int:
    return a + b


def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


def kinds(*values: Any) -> list[str]:
    """The types in which values arrive."""
    return [type(value).__name__ for value in values]


def fail(message: str) -> None:
    raise ValueError(message)


async def fail_async(message: str) -> None:
    raise ValueError(message)


def leave() -> None:
    raise SystemExit(3)


def unkeepable() -> Any:
    return object()


def look(context: Any, word: str = "") -> dict[str, Any]:
    """What a task sees of itself."""
    return {
        "id": context.task_result.id,
        "attempt": context.attempt,
        "status": str(context.task_result.status.value),
        "is_context": isinstance(context, DjangoTaskContext),
        "word": word,
    }


_FUNCTIONS = (add, add_async, echo, kinds, fail, fail_async, leave, unkeepable, look)


def on(backend: str, *, queue: str = "default") -> SimpleNamespace:
    """These functions as tasks of the backend of that alias.

    They stand in this module under their own names from then on, for workers that import tasks by name.
    """
    make = task_backends[backend].task_class
    made = {
        function.__name__: make(
            func=function,
            backend=backend,
            queue_name=queue,
            takes_context=function is look,
        )
        for function in _FUNCTIONS
    }
    globals().update(made)
    return SimpleNamespace(**made)
