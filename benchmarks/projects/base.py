"""Settings that all projects share. Everything that differs between runs comes from the environment."""

from __future__ import annotations

import os
from typing import Any

SECRET_KEY = "of a benchmark"  # noqa: S105 nothing is signed that anybody else reads
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = os.environ["BENCH_REDIS"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]


def _database() -> dict[str, Any]:
    path = os.environ.get("BENCH_SQLITE")
    if path:  # with the options of the README
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["BENCH_POSTGRES"],
        "USER": "bench",
        "HOST": "127.0.0.1",
        "PORT": os.environ["BENCH_POSTGRES_PORT"],
        "CONN_MAX_AGE": None,
    }


DATABASES = {"default": _database()}
