"""A traceback as text, read for people: the frames of their own code, and the place where it was raised."""

from __future__ import annotations

import re

from taskcenter.fingerprint import is_own_file

__all__ = ["own_frames", "place_in"]

_FRAME = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>.+)$')


def own_frames(trace: str) -> str:
    """The traceback without the frames that Python, libraries and TaskCenter brought; empty if that is all or none."""
    kept, is_own, left_out = [], True, 0
    for line in trace.splitlines():
        if frame := _FRAME.match(line):
            is_own = is_own_file(frame["file"])
            left_out += not is_own
        elif not line.startswith(" "):
            is_own = True
        if is_own:
            kept.append(line)
    text = "\n".join(kept)
    return text if left_out and any(map(_FRAME.match, kept)) else ""


def place_in(trace: str) -> str:
    """The innermost frame of own code, as analysis/parse.py:88 in row; the innermost of all if none is own."""
    frames = [found for line in trace.splitlines() if (found := _FRAME.match(line))]
    own = [frame for frame in frames if is_own_file(frame["file"])]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    short = "/".join(re.split(r"[/\\]", frame["file"])[-2:])
    return f"{short}:{frame['line']} in {frame['name']}"
