"""`python -m benchmarks`: measure TaskCenter beside its peers, interleaved, and print Markdown tables."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from benchmarks.databases import Databases
from benchmarks.facts import describe
from benchmarks.measures import ALL
from benchmarks.measures.admin import ROWS
from benchmarks.results import Results
from benchmarks.rounds import Bench, install
from benchmarks.runners import RUNNERS, Runner
from benchmarks.servers import Postgres, Valkey
from benchmarks.stand import House
from benchmarks.table import report


def main() -> None:
    options = _arguments()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _leave)
    runners, results, stopped = _chosen(options), Results(), False
    print("Making environments; the first time this takes minutes.", file=sys.stderr, flush=True)
    pythons = install(runners, results)
    with _house() as house:
        facts = describe(house, runners)
        try:
            bench = Bench(house, runners, pythons, options.rounds, results, options.rows)
            bench.side_by_side(options.measures)
            bench.ours_alone(options.measures)
        except KeyboardInterrupt:
            stopped = True
            print("Stopped; this is what there is.", file=sys.stderr, flush=True)
    _print(facts, results, runners)
    if options.json:
        kept = {"facts": facts, **asdict(results)}
        options.json.write_text(json.dumps(kept, indent=1))
    if stopped:
        sys.exit(130)
    sys.exit(any(name.startswith("ours") for name in results.failures))


def _arguments() -> argparse.Namespace:
    names = [runner.name for runner in RUNNERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=3, help="how often each runner is measured (3)")
    parser.add_argument("--only", type=_list_of(names), default=names, help="runners: " + ", ".join(names))
    parser.add_argument("--measures", type=_list_of(ALL), default=ALL, help="measures: " + ", ".join(ALL))
    parser.add_argument("--tasks", type=_positive, help="no-op tasks in a drain, instead of each runner's own number")
    parser.add_argument("--rows", type=_positive, default=ROWS, help=f"tasks behind the admin's pages ({ROWS:,})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every number there")
    return parser.parse_args()


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _list_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} unknown; there are: {', '.join(known)}")
        return names

    return parse


def _chosen(options: argparse.Namespace) -> list[Runner]:
    chosen = [runner for runner in RUNNERS if runner.name in options.only]
    return [replace(runner, tasks=options.tasks) for runner in chosen] if options.tasks else chosen


@contextmanager
def _house() -> Iterator[House]:
    """Servers and a folder for the time of the run. TMPDIR decides on which disk."""
    directory = Path(tempfile.mkdtemp(prefix="taskcenter-bench-"))
    directory.chmod(0o711)  # PostgreSQL's user passes through to its own folder
    servers: list[Postgres | Valkey] = []
    try:
        servers.append(valkey := Valkey(directory / "valkey"))
        servers.append(postgres := Postgres(directory / "postgres"))
        yield House(postgres, valkey, Databases(postgres, directory), directory)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _print(facts: dict[str, str], results: Results, runners: list[Runner]) -> None:
    print("\n".join(f"- {name}: {fact}" for name, fact in facts.items()))
    print("- x: the ratio to celery-db of the same round; median (lowest-highest) of the rounds\n")
    print(report(results, {runner.name: runner.about for runner in runners}))


def _leave(_number: int, _frame: object) -> NoReturn:
    """Once is enough: a second Ctrl-C must not keep us from ending what we started."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
