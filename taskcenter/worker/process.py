"""What the operating system must be told about a slot's process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent", "end_with_parent", "kill_group", "reset_signals"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Put this process in a group of its own, and have it end with its parent."""
    os.setpgid(0, 0)
    end_with_parent(parent_pid)


def end_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies.

    Linux only (prctl(2)); elsewhere an orphan runs on until it wants to write, and is fenced then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before we asked
            os._exit(1)


def reset_signals() -> None:
    """Forget the parent's handlers. Ctrl-C is the parent's business."""
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD):
        signal.signal(name, signal.SIG_DFL)
    signal.signal(signal.SIGINT, lambda *_: None)


def kill_group(pid: int, *, leader: bool = True) -> None:
    """SIGKILL a slot and what it started; without the leader when that is gone, and its number perhaps reused."""
    for kill in (os.killpg, os.kill) if leader else (os.killpg,):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
