"""`manage.py demo`: the whole product on this machine, with nothing running beforehand."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analysis.demo.house import DemoError, readable_file
from analysis.demo.show import show

USAGE = 2


class Command(BaseCommand):
    help = "Start everything, analyse a data set before your eyes, and keep serving until Ctrl-C."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="end when the report is done")
        parser.add_argument("--file", type=Path, metavar="PATH", help="analyse this file, not the bundled one")
        parser.add_argument("--port", type=int, default=8000, help="serve here, or on the next free port")

    def handle(self, *_: Any, once: bool, file: Path | None, port: int, **__: Any) -> None:
        try:
            path = readable_file(file) if file else None
        except DemoError as error:
            raise CommandError(str(error), returncode=USAGE) from error
        if not 1 <= port <= 65535:  # noqa: PLR2004 the range of ports
            raise CommandError("--port must be between 1 and 65535.", returncode=USAGE)
        try:
            code = show(once=once, file=path, port=port, say=self.say)
        except DemoError as error:
            raise CommandError(str(error)) from error
        if code:
            raise SystemExit(code)

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
