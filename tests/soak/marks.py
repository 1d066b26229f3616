"""Which attempts began and which ended, by the word of the tasks themselves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

__all__ = ["Beginning", "Marks"]

WORDS = 5
"""Of a whole line: what, task, attempt, pid, when by the clock that all processes of a machine share."""


class Beginning(NamedTuple):
    """A body that began."""

    at: float
    task_id: UUID
    attempt: int


@dataclass(slots=True)
class Marks:
    begun: dict[UUID, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Attempts by task."""
    ended: dict[UUID, set[int]] = field(default_factory=lambda: defaultdict(set))
    twice: list[tuple[UUID, int]] = field(default_factory=list)
    """Attempts that began or ended for the second time."""
    by_pid: dict[int, list[Beginning]] = field(default_factory=lambda: defaultdict(list))
    by_task: dict[UUID, list[Beginning]] = field(default_factory=lambda: defaultdict(list))
    """The beginnings in each process, and of each task."""

    def note(self, word: str, task_id: UUID, attempt: int) -> None:
        attempts = (self.begun if word == "begin" else self.ended)[task_id]
        if attempt in attempts:
            self.twice.append((task_id, attempt))
        attempts.add(attempt)

    def note_time(self, pid: int, begun: Beginning) -> None:
        self.by_pid[pid].append(begun)
        self.by_task[begun.task_id].append(begun)

    @classmethod
    def read(cls, directory: Path) -> Marks:
        """All files of a run whose processes have ended."""
        marks = cls()
        for path in directory.iterdir():
            with path.open() as lines:
                for line in lines:
                    words = line.split()
                    # The kernel may tear the last line of a process that was killed: it got no further.
                    if line.endswith("\n") and len(words) == WORDS:
                        task_id, attempt = UUID(words[1]), int(words[2])
                        marks.note(words[0], task_id, attempt)
                        if words[0] == "begin":
                            marks.note_time(int(words[3]), Beginning(float(words[4]), task_id, attempt))
        return marks

    @property
    def begins(self) -> int:
        return sum(map(len, self.begun.values()))

    @property
    def ends(self) -> int:
        return sum(map(len, self.ended.values()))

    @property
    def again(self) -> int:
        """Bodies that came to their end more than once: what at-least-once allows."""
        return sum(len(attempts) - 1 for attempts in self.ended.values() if len(attempts) > 1)
