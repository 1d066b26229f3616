"""`python -m tests.soak`; exit code 0 when everything held, and the faults really happened."""

from __future__ import annotations

import argparse
import os
import random
import sys

from .house import house


def main() -> int:
    given = _parser().parse_args()
    with house(given.database) as home:
        # Only now: they import models.
        from .run import Options, soak
        from .summary import lines, vacuous

        passed = False
        try:
            options = Options(**vars(given))
            _say(f"Soak with seed {options.seed}; logs in {home.logs}")
            findings = soak(options, home, _say)
            _say("\n".join(lines(options, findings)))
            empty = list(vacuous(options, findings))
            for why in empty:
                _say(f"VACUOUS: {why}")
            passed = not findings.violations and not empty
            _say("Everything held." if passed else f"Failed. Logs and marks are kept in {home.directory}")
        except KeyboardInterrupt:
            _say("Interrupted.")
        finally:
            home.empty(keep_logs=not passed)
    return 0 if passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="A load, random kills, and a verdict.")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: a random one")
    parser.add_argument("--seconds", type=float, default=60, help="of load and faults; then what is left may end")
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=3, help="processes, of two slots each")
    parser.add_argument("--schedulers", type=int, default=1)
    parser.add_argument(
        "--database", choices=("postgres", "sqlite"), default=os.environ.get("TEST_DATABASE") or "postgres"
    )
    return parser


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
