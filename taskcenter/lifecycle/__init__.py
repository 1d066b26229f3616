"""The only room that writes a task's state. Every move is a guarded UPDATE.

    batches.py   what a slot does many times a second: claim, complete, hand back unbegun
    running.py   how an attempt ends otherwise: fail, crash, cancelled, snooze, hand back
    people.py    what people ask for: cancel, retry
    crowds.py    the same of many tasks at once
    lost.py      what becomes of attempts whose worker is gone, one or many
    stack.py     where a running task hangs: the question and the answer
    sweeps.py    what the passing of time asks for: promote, fail unknown

Each function returns what came of it; that another attempt owns the row by now is an answer, not an
error. After the commit one log line is written and watchers are told that the row has changed.
"""

from .batches import Turn, claim, complete, finish, hand_back_unbegun, log, tell, turn, with_note
from .crowds import cancel_many, retry_many
from .deletion import delete, delete_many
from .lost import NEXT, Recovered, judge, recover, recover_many
from .moves import Failure, Outcome
from .people import request_cancel, retry
from .running import cancelled, crash, fail, hand_back, snooze
from .stack import answer_stack, ask_for_stack
from .sweeps import fail_unknown, promote

__all__ = [
    "NEXT",
    "Failure",
    "Outcome",
    "Recovered",
    "Turn",
    "answer_stack",
    "ask_for_stack",
    "cancel_many",
    "cancelled",
    "claim",
    "complete",
    "crash",
    "delete",
    "delete_many",
    "fail",
    "fail_unknown",
    "finish",
    "hand_back",
    "hand_back_unbegun",
    "judge",
    "log",
    "promote",
    "recover",
    "recover_many",
    "request_cancel",
    "retry",
    "retry_many",
    "snooze",
    "tell",
    "turn",
    "with_note",
]
