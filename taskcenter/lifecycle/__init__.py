"""The only room that writes a task's state. Every move is a guarded UPDATE.

    running.py   what a worker does: claim, complete, fail, crash, snooze, hand back
    people.py    what people ask for: cancel, retry
    sweeps.py    what the passing of time asks for: promote, recover

Each function returns what came of it; that another attempt owns the row by now is an answer, not an
error. After the commit one log line is written and watchers are told that the row has changed.
"""

from .moves import Failure, Outcome
from .people import request_cancel, retry
from .running import cancelled, claim, complete, crash, fail, hand_back, snooze
from .sweeps import promote, recover

__all__ = [
    "Failure",
    "Outcome",
    "cancelled",
    "claim",
    "complete",
    "crash",
    "fail",
    "hand_back",
    "promote",
    "recover",
    "request_cancel",
    "retry",
    "snooze",
]
