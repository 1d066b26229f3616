"""The history of one task as a page follows it: what was told before, and then each new line."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async

from taskcenter.models import TaskEvent

__all__ = ["History"]

MOST = 200
"""Lines in one frame."""
TEXT_LIMIT = 1000
"""Characters of a line's text; the task's page has all of it."""


class History:
    """Lines of a task in the order of their numbers, none twice and none left out: each task's lines are
    numbered without gaps that could be filled later.
    """

    def __init__(self, key: str, after: int) -> None:
        self.key = key
        self.after = after

    async def next_lines(self) -> dict[str, Any]:
        """The fields of the next frame; `more` says that another follows at once."""
        found = await database_sync_to_async(_read)(self.key, self.after)
        shown = found[:MOST]
        if shown:
            self.after = shown[-1].seq
        return {"id": self.key, "items": [_item(line) for line in shown], "more": len(found) > MOST}


def _read(key: str, after: int) -> list[TaskEvent]:
    return list(TaskEvent.objects.following(UUID(key), after)[: MOST + 1])


def _item(line: TaskEvent) -> dict[str, Any]:
    text = line.text if len(line.text) <= TEXT_LIMIT else line.text[: TEXT_LIMIT - 1] + "…"
    return {
        "seq": line.seq,
        "ts": line.at.isoformat(),
        "level": line.level,
        "kind": line.kind,
        "word": str(line.get_kind_display()),
        "attempt": line.attempt,
        "text": text,
    }
