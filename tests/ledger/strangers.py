"""Functions of ordinary RQ jobs, which know nothing of tasks."""

from __future__ import annotations

import os
import time
from pathlib import Path

from django.contrib.auth import get_user_model


def note(path: str, text: str = "here") -> int:
    """Leave a line each time it runs; how many users the database knows."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")
    return get_user_model().objects.count()


def boom(path: str) -> None:
    note(path)
    raise ValueError("a stranger's error")


def linger(path: str) -> None:
    """Leave the process's number, and never end."""
    note(path, str(os.getpid()))
    while True:
        time.sleep(60)


def die(path: str) -> None:
    """Take its process down."""
    note(path)
    os._exit(9)
