"""Progress: the small current state of a task, for people.

    TaskProgress       what a running task holds: `.set()`, `.stage()`, `.track()`
        │ throttled
        ▼
    store              one hash in Redis per task, and a message to whoever watches ── relay ─▶ browsers
        │ every 2 s
        ▼
    the task's row     a copy, so that a lost Redis costs nothing but freshness

Progress is state, not a log: every write carries all of it, so a lost one is made good by the next. Two
registers order what is seen: `rev` the task's state, (`attempt`, `seq`) its progress; the highest of each
is right. Nothing here may stop a task: what goes wrong is logged.
"""

from .frames import NOBODY, Snapshot, Viewer, allowed_actions, frame, frames, snapshots, stalled_among, visible
from .live import TaskProgress
from .sight import Seen, see, still_seen
from .store import Stored, announce, announce_line, announce_many
from .tracker import ProgressTracker

__all__ = [
    "NOBODY",
    "ProgressTracker",
    "Seen",
    "Snapshot",
    "Stored",
    "TaskProgress",
    "Viewer",
    "allowed_actions",
    "announce",
    "announce_line",
    "announce_many",
    "frame",
    "frames",
    "see",
    "snapshots",
    "stalled_among",
    "still_seen",
    "visible",
]
