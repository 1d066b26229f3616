"""The visitor's part of the demo, in a process of its own that shares the others' environment.

`python -m analysis.demo.story --url URL [--file PATH]`: make the user, hand in a data set, show its progress
until the report is there, say where it is. Exit code 0 when there is a report, else 1 after one sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from analysis.demo.bar import Bar
from analysis.demo.house import kept_secret

if TYPE_CHECKING:
    from analysis.models import Analysis

FIRST_FINDINGS = 5
LOOK_EVERY = 0.2


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    django.setup()
    from analysis.samples import SAMPLES  # noqa: PLC0415 needs django.setup()

    user, password = demo_user()
    path = options.file or SAMPLES["orders"].path
    analysis = hand_in(user, path)
    say(f"Analysing {path.name}: {options.url}analyses/{analysis.pk}/")
    say(f"Sign in as {user.get_username()} with the password {password}\n")
    frame = follow(user, analysis, Bar(sys.stdout))
    if frame["state"] != "completed":
        sys.stderr.write(f"No report: {failure(analysis, frame)}\n")
        return 1
    tell(analysis, options.url)
    return 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def demo_user() -> tuple[Any, str]:
    """A user who may do everything, and the password, kept from one demo to the next."""
    from django.conf import settings  # noqa: PLC0415 needs django.setup()
    from django.contrib.auth import get_user_model  # noqa: PLC0415 as above

    password = os.environ.get("DEMO_PASSWORD") or kept_secret(Path(settings.DATA_DIR) / "demo-password", 9)
    user, _ = get_user_model().objects.get_or_create(username="demo", defaults={"is_staff": True, "is_superuser": True})
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    return user, password


def hand_in(user: Any, path: Path) -> Analysis:
    from django.core.files import File  # noqa: PLC0415 needs django.setup()

    from analysis.services import submit  # noqa: PLC0415 as above

    with path.open("rb") as file:
        return submit(user, File(file), path.name)


def follow(user: Any, analysis: Analysis, bar: Bar) -> dict[str, Any]:
    """Show the task's progress until it has ended; its last frame."""
    from taskcenter.models import Task  # noqa: PLC0415 needs django.setup()
    from taskcenter.progress import frames  # noqa: PLC0415 as above

    while True:
        frame = frames(user, Task.objects.filter(pk=analysis.task_id))[0]
        bar.show(frame)
        if frame["final"]:
            bar.close()
            return frame
        time.sleep(LOOK_EVERY)


def failure(analysis: Analysis, frame: dict[str, Any]) -> str:
    """What went wrong, in one line."""
    from analysis.services import settle  # noqa: PLC0415 needs django.setup()

    analysis.refresh_from_db()
    settle([analysis])
    parts = (analysis.error_what, analysis.error_where, analysis.error_hint)
    told = " ".join(part for part in parts if part) or (frame["error"] or {}).get("message", "")
    return told or f"the task ended {frame['state']}."


def tell(analysis: Analysis, url: str) -> None:
    """Where the report is, and how it begins."""
    from django.conf import settings  # noqa: PLC0415 needs django.setup()

    from taskcenter.reports import as_html  # noqa: PLC0415 as above

    analysis.refresh_from_db()
    report = analysis.report
    if report is None:
        raise RuntimeError("The task completed without a report.")
    path = Path(settings.DATA_DIR) / f"report-{analysis.pk}.html"
    path.write_text(as_html(report), encoding="utf-8")
    say("\nFirst findings:")
    for place, finding in enumerate(report.data.get("findings", [])[:FIRST_FINDINGS], start=1):
        say(f"  {place}. {finding['sentence']}")
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    say(f"\nThe report: {url}analyses/{analysis.pk}/report/\nAs a file:  {shown}")


if __name__ == "__main__":
    sys.exit(main())
