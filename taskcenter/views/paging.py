"""Pages of long lists: the count stops at a limit, because counting a million rows takes a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["CappedPaginator", "Many", "page_of"]

LIMIT = 10_000


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


def page_of(request: HttpRequest, rows: Any, size: int) -> Page:
    """The page the address asks for; the nearest one when there is no such page."""
    return CappedPaginator(rows, size).get_page(request.GET.get("page"))
