"""The worker: a parent that watches, and slots that claim, run and finish.

parent.py     TaskCenterWorker: forks slots, beats, kills past deadlines
slot.py       one child process: claim, run, finish, and only then wait for a pointer
story.py      one task's way through a slot
aftermath.py  what is written when a slot has died
page.py       the shared memory through which parent and slot see each other
process.py    what the operating system is told about a slot
pointer.py    the same story under a stock RQ worker
foreign.py    what is done with RQ jobs that are not ours
"""

from .pointer import run_pointer

__all__ = ["run_pointer"]
