"""Why is it not running? In sentences, with the way out, best reason first.

    answer.py      from a task to its explanation
    around.py      what stands around the task, asked once and as far as a cap
    waiting.py     blocked, scheduled, pending
    obstacles.py   a paused queue, no worker, suspended workers, code that nobody has
    crowd.py       other tasks: the queue's limit, busy slots, those that come first
    running.py     claimed: running, asked to stop, lost
    ended.py       over: how it ended, and whether it could run again
    values.py      Reason and Explanation
    words.py       how times, numbers and tasks are written

It promises a bounded number of statements and one round trip to Redis at most, also among millions of
rows, and it answers without Redis. It reads and writes nothing else, and is true for the moment only.
"""

from .answer import aexplain, explain, explain_key
from .values import Explanation, Reason

__all__ = ["Explanation", "Reason", "aexplain", "explain", "explain_key"]
