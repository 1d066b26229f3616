"""The steps of an analysis, and the place where further methods are added.

A method looks at the table `data` and returns findings:

    @method("weekends", title="Weekends", weight=2, applies=lambda context: context.loaded.rows > 100)
    def weekends(context: Context) -> list[Finding]:
        share = context.query("SELECT …")[0][0]
        return [describe("weekends", "…", "{share} % …", {"share": share}, method="…", n=…)]

Methods run between quality and narrate in the order of their registration.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .context import Context
from .findings import Finding

Applies = Callable[[Context], bool]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: its share of the progress bar is `weight` of the sum of all weights."""

    name: str
    title: str
    weight: float
    function: Callable[[Context], Context]


@dataclass(frozen=True, slots=True)
class Method:
    """An analysis that returns findings; skipped, and said so, when `applies` is false."""

    name: str
    title: str
    weight: float
    function: Callable[[Context], list[Finding]]
    applies: Applies | None = None


_methods: dict[str, Method] = {}


def method(
    name: str, *, title: str, weight: float = 3, applies: Applies | None = None
) -> Callable[[Callable[[Context], list[Finding]]], Callable[[Context], list[Finding]]]:
    """Registers a method under a name; the same name again replaces it. ValueError for a bad weight."""
    if weight <= 0:
        raise ValueError(f"The weight of {name!r} must be above zero.")

    def register(function: Callable[[Context], list[Finding]]) -> Callable[[Context], list[Finding]]:
        _methods[name] = Method(name, title, weight, function, applies)
        return function

    return register


def unregister(name: str) -> None:
    """Takes a method out again; nothing happens when there is none of that name."""
    _methods.pop(name, None)


def registered() -> tuple[Method, ...]:
    """All methods in order."""
    return tuple(_methods.values())
