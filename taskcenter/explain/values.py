"""What an explanation is made of: sentences for people, and the same as data for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

__all__ = ["Explanation", "Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause, the way out, and what it was read from."""

    code: str
    """One word per cause, for programs; they are listed in docs/reference.md."""
    text: str
    fix: str = ""
    """What a person can do; empty when there is nothing to do but wait."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Numbers, ids and times behind the text; can be written as JSON."""

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text, "fix": self.fix, "data": dict(self.data)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task is not running: the best reason first. It holds for the moment it was made."""

    task_id: UUID | None
    state: str | None
    """None: there is no such task."""
    label: str
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.reasons[0].text, self.reasons[0].fix)))

    @property
    def is_running(self) -> bool:
        """Whether nothing is to be explained: a living worker runs it, and nobody asked it to stop."""
        return [reason.code for reason in self.reasons] == ["running"]

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "task": str(self.task_id) if self.task_id else None,
            "state": self.state,
            "label": self.label,
            "reasons": [reason.as_dict() for reason in self.reasons],
        }
