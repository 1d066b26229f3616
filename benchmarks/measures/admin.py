"""The admin's pages at millions of tasks, as an operator opens them: statements, the slowest, the whole request."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.databases import PostgresDatabase
from benchmarks.environments import ROOT
from benchmarks.servers import Valkey

__all__ = ["PROJECT", "ROWS", "admin"]

PROJECT = "admin"
ROWS = 5_000_000
PATIENCE = 3600.0


def admin(database: PostgresDatabase, valkey: Valkey, python: Path, rows: int) -> dict[str, dict[str, float]]:
    """The numbers of each page, by its name. Filling takes minutes."""
    environment = {
        "DJANGO_SETTINGS_MODULE": f"benchmarks.projects.{PROJECT}.settings",
        "PYTHONPATH": str(ROOT),
        "BENCH_REDIS": valkey.url,
        **database.environment,
    }
    command = [str(python), "-m", "benchmarks.projects.admin.visits", str(rows)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True)
    pages = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(page.pop("page")): page for page in pages}
