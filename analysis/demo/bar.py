"""A task's frames on a terminal: one line that changes, or one line per stage where lines cannot change."""

from __future__ import annotations

import shutil
from typing import Any, TextIO

WIDTH = 30


class Bar:
    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.changes_lines = out.isatty()
        self._last = ""

    def show(self, frame: dict[str, Any]) -> None:
        """Draw the frame, if it tells anything new."""
        line = _line(frame) if self.changes_lines else _step(frame)
        if line == self._last:
            return
        self._last = line
        if self.changes_lines:
            columns = shutil.get_terminal_size().columns
            self.out.write("\r\x1b[K" + line[: columns - 1])
        else:
            self.out.write(line + "\n")
        self.out.flush()

    def close(self) -> None:
        """Leave the last line standing."""
        if self.changes_lines:
            self.out.write("\n")
            self.out.flush()


def _line(frame: dict[str, Any]) -> str:
    filled = round(WIDTH * (frame["progress"] or 0))
    bar = "█" * filled + "░" * (WIDTH - filled)
    return f"{bar} {_percent(frame)}  {_words(frame)}"


def _step(frame: dict[str, Any]) -> str:
    """The state and the stage only: a log is no place for each percent."""
    stage = frame["stage"] if frame["state"] == "processing" else ""
    return f"[{frame['shown']}] {stage}".rstrip()


def _words(frame: dict[str, Any]) -> str:
    told = ": ".join(part for part in (frame["stage"], frame["message"]) if part)
    return told if told and not frame["final"] else str(frame["shown"])


def _percent(frame: dict[str, Any]) -> str:
    return f"{int(100 * frame['progress']):3d}%" if frame["progress"] is not None else "   -"
