"""Lifelines: how workers of one host notice at once that one of them is dead.

Each worker holds a lock on a file of its own, named by the incarnation of its row, for as long as a process
of it lives: slots inherit it. The kernel lets go of it when the last of them is gone, however it died, and
not a moment before; a stopped one (SIGSTOP) keeps it. So whoever gets a lock on that file knows that nobody
is left, which neither a process number (used again) nor a host's name (shared by containers) can tell.

The files are in /dev/shm, memory of this one kernel: no other host writes there, nothing outlives a
reboot. Where there is no such folder, or it is not ours alone, heartbeats tell, as between hosts.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from django.db import connections

from taskcenter.models.engine import task_alias

__all__ = ["Lifeline", "broken", "forget", "hold"]

logger = logging.getLogger("taskcenter")

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 ours is a folder below it that nobody else may enter
DAY = 86_400


class Lifeline:
    """The lock of one incarnation of a worker. Never closed but by `drop()`, or by the kernel."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def drop(self) -> None:
        """Let go in good order: nobody shall find anything here."""
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def hold(incarnation: UUID) -> Lifeline | None:
    """Take the lock of a new incarnation, before its row is seen; None where that cannot be."""
    folder = _folder()
    if folder is None:
        if sys.platform == "linux":
            logger.warning(
                "No lifeline: %s has no folder that is ours alone. Deaths are noticed by heartbeats only", SHARED_MEMORY
            )
        return None
    path, unseen = folder / _name(incarnation), folder / f".{incarnation.hex}"
    try:
        _tidy(folder)
        descriptor = os.open(unseen, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unseen.rename(path)  # seen only when it is locked
    except OSError as error:
        logger.warning("No lifeline: %s. Deaths are noticed by heartbeats only", error)
        return None
    return Lifeline(path, descriptor)


def broken() -> list[UUID]:
    """The incarnations that have a lifeline here and no process any more. Asks the kernel only."""
    folder = _folder(make=False)
    if folder is None:
        return []
    prefix = _name(None)
    mine = [path for path in _files(folder) if path.name.startswith(prefix)]
    return [found for path in mine if _is_free(path) and (found := _incarnation(path.name.removeprefix(prefix)))]


def forget(incarnations: Iterable[UUID]) -> None:
    """Their deaths have been written."""
    folder = _folder(make=False)
    if folder is None:
        return
    for incarnation in incarnations:
        (folder / _name(incarnation)).unlink(missing_ok=True)


def _incarnation(text: str) -> UUID | None:
    with contextlib.suppress(ValueError):
        return UUID(hex=text)
    return None  # not a file of ours


def _is_free(path: Path) -> bool:
    """Whether nobody holds it. Two may ask at once: they share the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # somebody was quicker
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _folder(*, make: bool = True) -> Path | None:
    """The folder of this user, if nobody else can write there."""
    if sys.platform != "linux":
        return None
    folder = SHARED_MEMORY / f"taskcenter-{os.geteuid()}"
    with contextlib.suppress(OSError):
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return folder
    return None


def _name(incarnation: UUID | None) -> str:
    """Of the database too: on one host several sites may run, and one shall not bury another's workers."""
    given = connections[task_alias()].settings_dict
    place = [str(given.get(key) or "") for key in ("ENGINE", "HOST", "PORT", "NAME")]
    site = hashlib.sha256("\n".join(place).encode()).hexdigest()[:16]
    return f"{site}-{incarnation.hex if incarnation else ''}"


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from folder.iterdir()


def _tidy(folder: Path) -> None:
    """What the workers of other databases left here, which nobody looks after any more."""
    for path in _files(folder):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - DAY and _is_free(path):
                path.unlink()
