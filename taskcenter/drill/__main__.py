"""`python -m taskcenter.drill`, which `manage.py drill` becomes.

Exit code 0: everything held. 1: a promise was broken, or a plug did not come out. 2: it could not be played.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from . import interrupts

if TYPE_CHECKING:
    from .page import Drilled
    from .plugs import Scene
    from .stage import Stage

COULD_NOT, INTERRUPTED = 2, 130

Say = Callable[[str], None]


def main() -> int:
    options = _options()
    interrupts.listen()
    # What is told on the way must not stand in the page.
    out = sys.stdout if options.format == "text" or options.output else sys.stderr
    began = time.monotonic()

    def say(text: str) -> None:
        out.write(f"{time.monotonic() - began:6.1f} s  {text}\n")
        out.flush()

    try:
        return _play(options, say)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; everything that was started has been ended and removed.\n")
        return INTERRUPTED


def _options() -> argparse.Namespace:
    """`manage.py drill` has looked at them before."""
    parser = argparse.ArgumentParser(prog="python -m taskcenter.drill")
    parser.add_argument("--seconds", type=float, default=75)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--format", choices=("text", "json", "html"), default="text")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.seed = Random().randrange(1_000_000) if options.seed is None else options.seed
    return options


def _play(options: argparse.Namespace, say: Say) -> int:
    from .stage import stage  # noqa: PLC0415 its packages are optional

    say("Starting a PostgreSQL and a Valkey for this drill alone")
    try:
        with stage() as made:
            return _on(made, options, say)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        interrupts.check()  # Ctrl-C at a terminal reaches the programs that prepare a server as well
        sys.stderr.write(f"The drill could not be played: {error}\n")
        return COULD_NOT


def _on(made: Stage, options: argparse.Namespace, say: Say) -> int:
    from .page import FORMATS, scene_text  # noqa: PLC0415 they import models, and Django is set up only now

    keeps_logs = False
    try:
        say(scene_text())
        drilled = _drill(made, options, say)
        keeps_logs = bool(drilled.verdict.exit_code)
        text = FORMATS[options.format](drilled)
        if options.output:
            options.output.write_text(text + "\n", encoding="utf-8")
            sys.stdout.write(f"{FORMATS['text'](drilled)}\nWritten to {options.output}\n")
        else:
            sys.stdout.write(text + "\n")
        if keeps_logs:
            sys.stderr.write(f"Logs and ledger are kept in {made.directory}\n")
        return drilled.verdict.exit_code
    finally:
        made.remove(keep_logs=keeps_logs)


def _drill(made: Stage, options: argparse.Namespace, say: Say) -> Drilled:
    from django.contrib.auth import get_user_model  # noqa: PLC0415 as above

    from .crew import Crew  # noqa: PLC0415 as above
    from .evidence import drain, gather, put_away  # noqa: PLC0415 as above
    from .load import Load  # noqa: PLC0415 as above
    from .page import Drilled  # noqa: PLC0415 as above
    from .plugs import Scene  # noqa: PLC0415 as above
    from .verdict import judge  # noqa: PLC0415 as above

    began, clock = datetime.now(UTC), time.monotonic()
    crew = Crew(made.logs)
    load = Load(options.seed, get_user_model().objects.create_user("drill"))
    scene = Scene(made, crew, load, Random(f"plugs {options.seed}"))
    try:
        _raise_curtain(scene)
        load.start()
        _pull_all(scene, options.seconds, say)
        load.end()
        say(f"{len(load.promises.kinds):,} tasks were enqueued; waiting until all have ended")
        stuck = drain(scene)
        say("Stopping workers and scheduler")
        astray, leftovers = put_away(scene)
        verdict = judge(gather(scene, stuck, astray, leftovers))
    finally:
        load.give_up()
        crew.end()
    return Drilled(options.seed, began, time.monotonic() - clock, len(load.promises.kinds), _servers(), verdict)


def _raise_curtain(scene: Scene) -> None:
    if not scene.until(scene.is_complete):
        raise RuntimeError("the workers did not start:\n" + scene.crew.last_words())


def _pull_all(scene: Scene, seconds: float, say: Say) -> None:
    """Evenly over the time; with more time in more rounds."""
    from .page import outcome  # noqa: PLC0415 as above
    from .plugs import pull  # noqa: PLC0415 as above

    chosen = list(_program(scene, seconds))
    began, gap = time.monotonic(), seconds / (len(chosen) + 1)
    for number, name in enumerate(chosen, 1):
        scene.pause(began + number * gap - time.monotonic())
        scene.until(scene.is_complete)
        moments = pull(scene, name)
        say(f"{number}/{len(chosen)} {next(moments).what}")
        say(f"    {outcome(next(moments))}")


def _program(scene: Scene, seconds: float) -> Iterator[str]:
    """Every plug once in each round, in an order of the seed's."""
    from .plugs import EACH, PLUGS  # noqa: PLC0415 as above

    for _ in range(max(1, round(seconds / (EACH * len(PLUGS))))):
        yield from scene.rng.sample(list(PLUGS), len(PLUGS))


def _servers() -> str:
    from django.db import connection  # noqa: PLC0415 as above

    major, minor = divmod(connection.pg_version, 10_000)  # type: ignore[attr-defined]  # PostgreSQL, as our settings say
    return f"PostgreSQL {major}.{minor}, Valkey"


if __name__ == "__main__":
    sys.exit(main())
