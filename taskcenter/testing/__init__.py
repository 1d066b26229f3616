"""For your tests of tasks: run them here and now, say what was enqueued, hold the clock in your hand.

    pending.py       run_pending(): what a worker does, in this process
    enqueued.py      assert_enqueued() and captured(): which tasks were made
    fakeclock.py     clock(): the time stands still until the test moves it
    conformance.py   BackendConformance: what a backend of Django Tasks must do, as tests to inherit
    samples.py       the tasks which that suite runs

Needs no worker and no test library. Without a Redis everything works too: enqueuing never waits for one.
"""

from .conformance import BackendConformance
from .enqueued import Captured, assert_enqueued, captured
from .fakeclock import Clock, clock
from .pending import Ran, run_pending

__all__ = [
    "BackendConformance",
    "Captured",
    "Clock",
    "Ran",
    "assert_enqueued",
    "captured",
    "clock",
    "run_pending",
]
