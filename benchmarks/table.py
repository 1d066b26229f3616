"""The results as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.measures.frames import WATCHERS
from benchmarks.results import Results, Spread

__all__ = ["report"]

Cell = Callable[[str], str]


def report(results: Results, about: dict[str, str]) -> str:
    """All tables for which there are numbers, what failed, and what the names mean."""
    tables = (_drain, _naps, _enqueue, _latency, _memory, _overhead, _frames, _sockets, _sqlite, _held, _admin)
    parts = [draw(results) for draw in tables]
    parts += [_failures(results), _names(results, about)]
    return "\n\n".join(part for part in parts if part)


def _drain(results: Results) -> str:
    columns = {
        **_rate(results, "drain"),
        "CPU µs/task: worker + PostgreSQL + Valkey": lambda name: _cpu(results, name, "drain"),
        "SQL": lambda name: _middle(results.spread(name, "statements", "sql"), 2),
        "Redis": lambda name: _middle(results.spread(name, "statements", "redis"), 2),
        "others' cores": lambda name: _middle(results.spread(name, "drain", "others"), 1),
    }
    return _table("Drain of no-op tasks, two at a time", results.runners("drain"), columns)


def _naps(results: Results) -> str:
    columns = {
        **_rate(results, "naps"),
        "of the 200/s that two can do": lambda name: _percent(results.spread(name, "naps", "rate"), 200),
        "CPU µs/task: worker + PostgreSQL + Valkey": lambda name: _cpu(results, name, "naps"),
    }
    return _table("Drain of 10 ms tasks, two at a time", results.runners("naps"), columns)


def _enqueue(results: Results) -> str:
    columns = {
        "one by one/s": lambda name: _all(results.spread(name, "enqueue", "rate"), 0),
        "x": lambda name: _all(results.ratio(name, "enqueue", "rate"), 2),
        "client CPU µs": lambda name: _middle(results.spread(name, "enqueue", "cpu"), 0),
        "bulk/s": lambda name: _all(results.spread(name, "enqueue", "bulk_rate"), 0),
        "bulk CPU µs": lambda name: _middle(results.spread(name, "enqueue", "bulk_cpu"), 0),
        "SQL": lambda name: _middle(results.spread(name, "statements", "enqueue_sql"), 1),
        "Redis": lambda name: _middle(results.spread(name, "statements", "enqueue_redis"), 1),
    }
    return _table("Enqueue from one process", results.runners("enqueue"), columns)


def _latency(results: Results) -> str:
    columns = {
        "p50 ms": lambda name: _all(results.spread(name, "latency", "p50"), 1),
        "x": lambda name: _all(results.ratio(name, "latency", "p50"), 2),
        "p99 ms": lambda name: _all(results.spread(name, "latency", "p99"), 1),
        "lost": lambda name: _middle(results.spread(name, "latency", "lost"), 0),
    }
    return _table(
        "Latency, enqueue call to body, idle workers, 50 tasks/s (10/s for forking workers)",
        results.runners("latency"),
        columns,
    )


def _memory(results: Results) -> str:
    columns = {
        "processes": lambda name: _middle(results.spread(name, "memory", "processes"), 0),
        "RSS MB": lambda name: _middle(results.spread(name, "memory", "rss"), 0),
        "PSS MB": lambda name: _middle(results.spread(name, "memory", "pss"), 0),
        "x PSS": lambda name: _middle(results.ratio(name, "memory", "pss"), 2),
    }
    return _table("Memory of all worker processes", results.runners("memory"), columns)


def _overhead(results: Results) -> str:
    columns = {
        "calls/s": lambda name: _middle(results.spread(name, "overhead", "calls"), 0),
        "slower % (CPU)": lambda name: _all(results.spread(name, "overhead", "cpu"), 1),
        "slower % (clock)": lambda name: _all(results.spread(name, "overhead", "clock"), 1),
        "messages/s": lambda name: _middle(results.spread(name, "overhead", "messages"), 1),
        "row updates/s": lambda name: _middle(results.spread(name, "overhead", "rows"), 1),
    }
    return _table("A task that tells its progress at every step of 100 µs", results.runners("overhead"), columns)


def _frames(results: Results) -> str:
    columns: dict[str, Cell] = {
        f"{count} watching: {name} ms": lambda runner, key=f"{name}_{count}": _all(
            results.spread(runner, "frames", key), 1
        )
        for count in WATCHERS
        for name in ("p50", "p95")
    }
    columns["server CPU µs/frame, 500"] = lambda runner: _middle(results.spread(runner, "frames", "cpu_500"), 0)
    title = "Progress call to frame in the client, all watching one task"
    return _table(title, results.runners("frames"), columns)


def _sockets(results: Results) -> str:
    columns = {
        "sockets": lambda name: _middle(results.spread(name, "sockets", "sockets"), 0),
        "RSS before MB": lambda name: _all(results.spread(name, "sockets", "before"), 0),
        "RSS with them MB": lambda name: _all(results.spread(name, "sockets", "rss"), 0),
        "kB a socket": lambda name: _all(results.spread(name, "sockets", "each"), 0),
        "% of a core": lambda name: _all(results.spread(name, "sockets", "cpu"), 1),
    }
    return _table("Idle sockets on one ASGI process, each with a task of its own", results.runners("sockets"), columns)


def _sqlite(results: Results) -> str:
    columns = {
        "drain/s": lambda name: _all(results.spread(name, "sqlite", "rate"), 0),
        "share of the slower slot %": lambda name: _all(results.spread(name, "sqlite", "share"), 0),
        "longest silence of a slot ms": lambda name: _all(results.spread(name, "sqlite", "silence"), 0),
        "CPU µs/task: worker": lambda name: _middle(results.spread(name, "sqlite", "cpu_worker"), 0),
    }
    return _table("Drain on SQLite, one worker with two slots", results.runners("sqlite"), columns)


def _held(results: Results) -> str:
    columns = {
        "drained in s": lambda name: _all(results.spread(name, "held", "seconds"), 1),
        "p50 ms": lambda name: _all(results.spread(name, "held", "p50"), 1),
        "p99 ms": lambda name: _all(results.spread(name, "held", "p99"), 1),
        "max ms": lambda name: _all(results.spread(name, "held", "max"), 1),
    }
    title = "Held back: end of a body to its row's commit, 2000 in a backlog of which 1 in 40 takes 200 ms"
    return _table(title, results.runners("held"), columns)


def _admin(results: Results) -> str:
    columns = {
        "SQL": lambda name: _middle(results.spread(name, "admin", "queries"), 0),
        "slowest SQL ms": lambda name: _middle(results.spread(name, "admin", "slowest"), 1),
        "request ms": lambda name: _middle(results.spread(name, "admin", "whole"), 0),
        "of it CPU of the process": lambda name: _middle(results.spread(name, "admin", "cpu"), 0),
    }
    return _table("Admin pages, session and user included, least of five", results.runners("admin"), columns, "page")


def _rate(results: Results, measure: str) -> dict[str, Cell]:
    return {
        "rounds": lambda name: str(len(results.numbers[name][measure])),
        "tasks/s": lambda name: _all(results.spread(name, measure, "rate"), 0),
        "x": lambda name: _all(results.ratio(name, measure, "rate"), 1),
    }


def _failures(results: Results) -> str:
    columns = {"reason": lambda name: results.failures[name].replace("|", "\\|")}
    return _table("Not measured, or not to the end", list(results.failures), columns)


def _names(results: Results, about: dict[str, str]) -> str:
    return _table("Names", [name for name in about if name in results.numbers], {"is": lambda name: about[name]})


def _table(title: str, runners: Sequence[str], columns: dict[str, Cell], what: str = "runner") -> str:
    if not runners:
        return ""
    head = [what, *columns]
    rows = [[name, *(cell(name) for cell in columns.values())] for name in runners]
    lines = [head, ["---"] * len(head), *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _all(spread: Spread | None, digits: int) -> str:
    """Median (lowest-highest)."""
    if spread is None:
        return "-"
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}-{spread.high:.{digits}f})"


def _middle(spread: Spread | None, digits: int) -> str:
    return "-" if spread is None else f"{spread.median:.{digits}f}"


def _percent(spread: Spread | None, whole: float) -> str:
    return "-" if spread is None else f"{100 * spread.median / whole:.0f} %"


def _cpu(results: Results, runner: str, measure: str) -> str:
    parts = [results.spread(runner, measure, f"cpu_{who}") for who in ("worker", "postgres", "valkey")]
    return " + ".join(_middle(part, 0) for part in parts)
