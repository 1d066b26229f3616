"""Operations: what an operator does to tasks, one or a million, with a reason and a trace of it.

    verbs.py       retry, cancel, recover: the rule, the move of one, the move of many
    selection.py   which tasks: by their ids, or by what a list was narrowed to at a moment
    order.py       verb, selection, reason and who confirmed it; as a task of its own when it is large
    work.py        what that task does: chunk by chunk, keeping its place
    audit.py       the line in the admin's log

Who may do what is asked by the caller before, and by the work again while it runs.
"""

from .audit import log_many, log_one
from .order import BY_ITSELF, Order, enqueue, new_once
from .selection import IDS_LIMIT, Selection
from .verbs import VERBS, Verb
from .work import carry_out

__all__ = [
    "BY_ITSELF",
    "IDS_LIMIT",
    "VERBS",
    "Order",
    "Selection",
    "Verb",
    "carry_out",
    "enqueue",
    "log_many",
    "log_one",
    "new_once",
]
