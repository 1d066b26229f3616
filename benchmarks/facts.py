"""What machine this was, and which versions: without them the numbers mean nothing."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks import pins
from benchmarks.runners import Runner
from benchmarks.stand import House

__all__ = ["describe"]

SYNCS = 50


def describe(house: House, runners: Sequence[Runner]) -> dict[str, str]:
    """Facts by name, in the order in which they are printed."""
    info: dict[str, Any] = house.valkey.client.info("server")
    with house.postgres.connect() as connection:
        postgres = connection.execute("SHOW server_version").fetchone() or ("?",)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores ({_processor()}), {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "PostgreSQL": f"{postgres[0]}, fsync and synchronous_commit on, TCP on 127.0.0.1",
        "Valkey": f"{info.get('valkey_version') or info['redis_version']}, no persistence, TCP on 127.0.0.1",
        "disk": f"write of 8 kB + fdatasync {1000 * _sync_time(house.directory):.2f} ms (median of {SYNCS})",
        "others used": f"{_others():.2f} cores before the first round",
        "versions": ", ".join(_versions(runners)),
    }


def _processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sync_time(directory: Path) -> float:
    """Seconds; near nothing means that the data are in memory and fsync is free."""
    path, times = directory / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    path.unlink()
    return statistics.median(times)


def _others() -> float:
    return float(psutil.cpu_percent(2)) / 100 * (os.cpu_count() or 1)


def _versions(runners: Sequence[Runner]) -> list[str]:
    used = {pin for runner in runners for pin in runner.pins}
    named = {pin.partition("==")[0]: pin.partition("==")[2] for pin in used}
    return [f"{name} {named[name]}" for name in pins.SHOWN if name in named]
