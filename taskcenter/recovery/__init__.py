"""Recovery: find tasks that no one is running, decide afresh, act by a fenced move, say so.

    sweep.py      `TaskRecovery`: one look at everything
    chunks.py     lost tasks by the thousand; what is refused is tried again in halves
    unknown.py    waiting tasks whose definition no worker knows
    reconcile.py  Redis beside the database: pointers that are missing, pointers that point nowhere
    lifelines.py  how workers of one host notice at once that one of them is dead

It promises that a task whose worker died runs again within STALE_AFTER + HEARTBEAT seconds while any
worker lives, and within seconds when that is on the same host. It goes by heartbeats, never by the age of
a task: a long task on a living worker is left alone. What is done is decided in `taskcenter.verdicts`. It
does not promise that an attempt's side effects happened once: an attempt that died in the middle runs
again from its start (see checkpoints).
"""

from .reconcile import Difference, Reconciled
from .sweep import Swept, TaskRecovery

__all__ = ["Difference", "Reconciled", "Swept", "TaskRecovery"]
