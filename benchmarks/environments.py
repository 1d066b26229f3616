"""One virtual environment per set of pins, kept under .bench/ so that later runs begin at once."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ROOT", "CannotInstall", "python_of"]

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".bench"


class CannotInstall(Exception):
    """An environment could not be made; says why, in one line."""


def python_of(pins: Sequence[str]) -> Path:
    """The interpreter of the environment with these pins, made now if it is not there. Raises CannotInstall."""
    wanted = "\n".join([sys.version, *pins])
    home = KEPT / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    python, finished = home / "bin" / "python", home / "pins.txt"
    if not finished.exists():
        shutil.rmtree(home, ignore_errors=True)
        KEPT.mkdir(exist_ok=True)
        (KEPT / ".gitignore").write_text("*\n")
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins])
        finished.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    """Run it in silence; its installer's index is whatever pip is configured for."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CannotInstall(_why(done.stderr or done.stdout))


def _why(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no message"]
    return re.sub(r"\w+://\S+", "(index)", errors[-1])  # an index's address is nobody's business
