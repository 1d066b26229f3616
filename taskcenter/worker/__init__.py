"""The worker: a parent that watches, and slots that claim, run and finish.

parent.py     TaskCenterWorker: the loop of the parent
family.py     its slots: forked, watched, killed past their limits, reaped
chores.py     what the parent does at the database now and then: beats, cancels, recovery
presence.py   what RQ and django-rq's pages know of the worker, and RQ's commands
outage.py     one line per change of state when the database or Redis is away
patience.py   the parent's own connection, on which nothing waits for long
slot.py       one child process: claim, run, and only then wait for a pointer
bell.py       pointers: what wakes a slot
trouble.py    what a slot does while a server is away
desk.py       what a slot has in hand, and the helper thread that sees to it that nobody waits
story.py      one task's way through a slot
stacks.py     where a running task hangs, for a person who asks
aftermath.py  what is written when a slot has died
page.py       the shared memory through which parent and slot see each other
process.py    what the operating system is told about a slot
pointer.py    the same story under a stock RQ worker
foreign.py    what is done with RQ jobs that are not ours
horse.py      such a job run by RQ's own code
memory.py     how much memory a process takes
"""

from .pointer import run_pointer

__all__ = ["run_pointer"]
