"""Pages of long lists: by key, or by number with a count that stops, because counting a million rows takes a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import QueryDict
from django.utils.functional import cached_property

__all__ = ["CappedPaginator", "Keyset", "Many", "Slice"]

LIMIT = 10_000
T = TypeVar("T")


class Many(int):
    """A count that stopped: as a number one over the limit, as text "10,000+"."""

    def __str__(self) -> str:
        return f"{int(self) - 1:,}+"


class CappedPaginator(Paginator):
    """Counts, and pages through, at most the first 10,000 rows; narrow the list to see the others."""

    limit = LIMIT

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        # Without the order the database need not sort what it counts.
        found = rows.order_by()[: self.limit + 1].count() if hasattr(rows, "order_by") else len(rows)
        return Many(found) if found > self.limit else found


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """So many rows in a row, and how to ask for those beside them; "" where there are none."""

    items: list[T]
    newer: str = ""
    older: str = ""


class Keyset:
    """Pages by key, newest first: the last page costs what the first does, and new rows shift nothing.

    `after` in the address is the key after which the page begins, `before` the one before which it ends.
    """

    def __init__(self, asked: QueryDict, size: int) -> None:
        self.asked, self.size = asked, size
        self.is_backwards = bool(asked.get("before"))
        self.key = asked.get("before") or asked.get("after") or ""

    def window(self, rows: Any) -> Any:
        """The rows of the page and one more; raises ValueError when the key is none of this model."""
        if not self.key:
            return rows.order_by("-pk")[: self.size + 1]
        try:
            key = rows.model._meta.pk.to_python(self.key)  # noqa: SLF001 public by convention
        except ValidationError:
            raise ValueError(f"{self.key[:50]!r} is not the id of a row.") from None
        if self.is_backwards:
            return rows.filter(pk__gt=key).order_by("pk")[: self.size + 1]
        return rows.filter(pk__lt=key).order_by("-pk")[: self.size + 1]

    def cut(self, found: Sequence[T], pk: Callable[[T], Any] = lambda row: cast("Any", row).pk) -> Slice[T]:
        """What was found in the window, as the page."""
        has_more = len(found) > self.size
        items = list(found[: self.size])
        if self.is_backwards:
            items.reverse()
        newer, older = (has_more, True) if self.is_backwards else (bool(self.key), has_more)
        return Slice(
            items,
            newer=self._address("before", pk(items[0])) if newer and items else "",
            older=self._address("after", pk(items[-1])) if older and items else "",
        )

    def _address(self, name: str, key: Any) -> str:
        asked = self.asked.copy()
        for old in ("before", "after"):
            asked.pop(old, None)
        asked[name] = str(key)
        return f"?{asked.urlencode()}"
