"""The worker: a parent that watches, and slots that claim, run and finish.

parent.py   TaskCenterWorker: forks slots, beats, kills past deadlines, cleans up after a death
slot.py     one child process: claim, run, finish, and only then wait for a pointer
story.py    one task's way through a slot
page.py     the shared memory through which parent and slot see each other
foreign.py  what is done with RQ jobs that are not ours
"""

from .pointer import run_pointer

__all__ = ["run_pointer"]
