"""What every test gets: settings for servers that belong to this run alone, started when first needed.

TEST_DATABASE chooses the database: "sqlite" (a file, so that other processes see it) or "postgres".
The servers' addresses are known before they run, so that settings are loaded once, here and early:
a conftest further down may import models. Each xdist worker comes here on its own and gets its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
import redis
from django.conf import settings

from tests import servers
from tests.processes import Process, manage

# Short: the path of a unix socket holds a hundred characters.
RUN = Path(tempfile.mkdtemp(prefix="tc-"))
POSTGRES = RUN / "postgres"
VALKEY = RUN / "valkey"
DATABASE = "taskcenter_tests"


@atexit.register  # the first to register is the last to go: servers have ended by then
def _leave_nothing(owner: int = os.getpid()) -> None:
    if os.getpid() == owner:
        shutil.rmtree(RUN, ignore_errors=True)


def _load_settings() -> None:
    urls = {"sqlite": f"sqlite:///{RUN}/{DATABASE}.sqlite3", "postgres": servers.postgres_url(POSTGRES, DATABASE)}
    chosen = os.environ.get("TEST_DATABASE") or "sqlite"
    if chosen not in urls:
        pytest.exit(f"TEST_DATABASE is {chosen!r}; choose one of: {', '.join(urls)}.", returncode=4)
    if settings.configured:
        pytest.exit("Unset DJANGO_SETTINGS_MODULE: tests/conftest.py chooses the settings.", returncode=4)
    # Root keeps the folder to itself but lets PostgreSQL's user pass through to its own.
    RUN.chmod(0o711)
    (RUN / "static").mkdir()  # of which whitenoise would miss the absence
    os.environ |= {
        "DATABASE_URL": urls[chosen],
        "REDIS_URL": servers.valkey_url(VALKEY),
        "DATA_DIR": str(RUN),
        "SECRET_KEY": "of the tests",
    }
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    # Not for xdist's workers, which would load settings before they have come here, nor for the demo.
    del os.environ["DJANGO_SETTINGS_MODULE"]
    # One name: whatever a test starts finds the test database at DATABASE_URL.
    default = settings.DATABASES["default"]
    default["TEST"] = {**default.get("TEST", {}), "NAME": default["NAME"]}


_load_settings()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    server = servers.start_postgres(POSTGRES, fsync=False)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.ValkeyServer]:
    server = servers.start_valkey(VALKEY)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    """Instead of pytest-django's, which adds a suffix per xdist worker: ours have a server or file each."""
    if settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        request.getfixturevalue("postgres_server")


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The database goes with its server or folder; dropping it would fail while a thread is still connected."""
    return True


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The test database, as other processes reach it: they see committed rows only."""
    return os.environ["DATABASE_URL"]


@pytest.fixture
def redis_url(redis_server: servers.ValkeyServer) -> str:
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the run's Redis, emptied."""
    from tests.wakes import forget_full_queues, hear_out  # settings first: it brings models along

    with redis.Redis.from_url(redis_url) as client:
        hear_out()
        client.flushall()
        forget_full_queues()
        yield client


@pytest.fixture
def server_directory() -> Iterator[Callable[[], Path]]:
    """Makes folders with short names that PostgreSQL's user can reach; they go with the test."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(dir=RUN)))
        return made[-1]

    yield make
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def valkey(server_directory: Callable[[], Path]) -> Iterator[servers.ValkeyServer]:
    """A Valkey of the test's own, which it may kill."""
    server = servers.start_valkey(server_directory())
    yield server
    server.stop()


@pytest.fixture
def process(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts `manage.py …` against the test's database and Redis; environment as keywords.

    What was started ends with the test, whatever happens.
    """
    started: list[Process] = []

    def start(*arguments: str, **environment: Any) -> Process:
        log = tmp_path / f"{len(started)}-{arguments[0]}.log"
        started.append(Process(manage(*arguments), log=log, **environment))
        return started[-1]

    yield start
    for one in started:
        one.kill9()
