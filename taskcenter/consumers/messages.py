"""What a browser may say on the socket, and where the limits are. Unknown fields and types are ignored:
newer pages may talk to older servers.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Any
from uuid import UUID

__all__ = [
    "MAX_TASKS",
    "Asked",
    "AskedHistory",
    "Close",
    "FrameRate",
    "Refused",
    "asked_history",
    "asked_tasks",
    "parse",
    "task_key",
]

MAX_TASKS = 200
"""Tasks that one socket may follow."""
MAX_FRAME = 64 * 1024
"""Characters of one frame; 200 tasks with passes take half of it."""
LAST_LINE = 2**31 - 1
"""The highest number that a line of history can have."""
MAX_FRAMES, FRAME_WINDOW = 300, 10.0
"""So many frames in so many seconds: 200 tasks may end, and be unsubscribed one by one, in one moment."""


class Close(IntEnum):
    """Our close codes; docs/protocol.md says what a client does about each."""

    BUSY = 1013
    BAD_FRAME = 4400
    SIGNED_OUT = 4401
    NOT_ALLOWED = 4403
    SILENT = 4408
    TOO_MUCH = 4429


class Refused(Exception):
    """The socket must be closed for what was said on it."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """One task of a subscribe frame: its id as written, the rev that the page has already, and a pass."""

    id: str
    rev: int | None = None
    token: str = ""


@dataclass(frozen=True, slots=True)
class AskedHistory:
    """The task whose history a page wants, and the number of the last line it has."""

    id: str
    after: int = 0


def parse(text: str | None) -> dict[str, Any]:
    """The frame; raises Refused when it is not one."""
    if text is None:
        raise Refused(Close.BAD_FRAME, "Frames are text.")
    if len(text) > MAX_FRAME:
        raise Refused(Close.BAD_FRAME, "The frame is too long.")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(Close.BAD_FRAME, "The frame is not JSON.") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise Refused(Close.BAD_FRAME, "The frame is not an object with a type.")
    return frame


def asked_tasks(frame: dict[str, Any]) -> list[Asked]:
    """The tasks of a subscribe frame, each once; raises Refused."""
    given = frame.get("tasks", [])
    if not isinstance(given, list):
        raise Refused(Close.BAD_FRAME, "tasks must be a list.")
    if len(given) > MAX_TASKS:
        raise Refused(Close.TOO_MUCH, f"At most {MAX_TASKS} tasks.")
    asked = {}
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str):
            raise Refused(Close.BAD_FRAME, "Each task must be an object with an id.")
        rev, token = one.get("rev"), one.get("token")
        asked[one["id"]] = Asked(
            one["id"], rev if isinstance(rev, int) else None, token if isinstance(token, str) else ""
        )
    return list(asked.values())


def asked_history(frame: dict[str, Any]) -> AskedHistory | None:
    """The `events` of a subscribe frame, if it has any; raises Refused."""
    given = frame.get("events")
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        raise Refused(Close.BAD_FRAME, "events must be an object with an id.")
    after = given.get("after", 0)
    if not isinstance(after, int) or not 0 <= after <= LAST_LINE:
        raise Refused(Close.BAD_FRAME, "after must be the number of a line.")
    return AskedHistory(given["id"], after)


def task_key(given: str) -> str | None:
    """The id, if it is one as we write them."""
    try:
        return given if str(UUID(given)) == given else None
    except ValueError:
        return None


class FrameRate:
    """Counts frames; `check()` raises Refused when there are too many."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_FRAMES)

    def check(self) -> None:
        now = monotonic()
        if len(self._times) == MAX_FRAMES and now - self._times[0] < FRAME_WINDOW:
            raise Refused(Close.TOO_MUCH, "Too many frames.")
        self._times.append(now)
