"""The servers and processes of the tests themselves: they start, die, come back and leave nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests import servers
from tests.processes import ROOT, Process, wait_for

Make = Callable[[], Path]


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or servers.is_gone(psutil.Process(pid))


@pytest.mark.parametrize("port", [None, 0], ids=["unix socket", "tcp port"])
def test_a_killed_valkey_comes_back_empty_at_the_same_address(server_directory: Make, port: int | None) -> None:
    server = servers.start_valkey(server_directory(), port=port)
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.kill9()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.restart()
        assert client.get("key") is None
    server.stop()
    assert is_gone(server.pid)


def test_a_persistent_valkey_keeps_what_it_was_told(server_directory: Make) -> None:
    server = servers.start_valkey(server_directory(), persistent=True)
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.restart()
        assert client.get("key") == b"value"
    server.stop()


def test_a_killed_postgres_comes_back_with_its_committed_rows(server_directory: Make) -> None:
    server = servers.start_postgres(server_directory())
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    server.kill9()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)
    server.restart()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
    server.stop()
    assert is_gone(server.pid)


def test_a_server_that_cannot_start_says_why(server_directory: Make) -> None:
    directory = server_directory()
    (directory / "valkey.sock").mkdir()
    with pytest.raises(RuntimeError, match=r"did not start:\n(.|\n)*socket"):
        servers.start_valkey(directory)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_servers_die_with_the_process_that_started_them(server_directory: Make) -> None:
    starter = f"""
import os, signal
from pathlib import Path
from tests import servers
valkey = servers.start_valkey(Path({str(server_directory())!r}))
postgres = servers.start_postgres(Path({str(server_directory())!r}))
print(valkey.pid, postgres.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", starter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    for pid in map(int, ended.stdout.split()):
        wait_for(lambda pid=pid: is_gone(pid), what=f"process {pid} is gone")


def test_a_process_sees_the_tests_database_and_redis(
    process: Callable[..., Process], django_user_model: type, redis_client: redis.Redis
) -> None:
    django_user_model.objects.create_user("ann")
    redis_client.set("key", "value")
    code = (
        "from django.contrib.auth import get_user_model as g; from django.conf import settings; import redis\n"
        "print(g().objects.get().username, redis.Redis.from_url(settings.REDIS_URL).get('key'))"
    )
    shell = process("shell", "--no-imports", "--command", code)
    shell.wait_for_line("^ann b'value'$")
    assert shell.wait() == 0


def test_a_process_that_ends_early_is_reported_with_its_words(process: Callable[..., Process]) -> None:
    shell = process("no_such_command")
    with pytest.raises(pytest.fail.Exception, match=r"ended with 1, in vain until(.|\n)*Unknown command"):
        shell.wait_for_line("ready")


def test_killing_a_process_takes_its_children_in_other_sessions_too(tmp_path: Path) -> None:
    code = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    parent = Process([sys.executable, "-c", code], log=tmp_path / "log")
    child = int(parent.wait_for_line(r"^(\d+)\n").group(1))
    parent.kill9()
    assert is_gone(parent.pid)
    assert is_gone(child)


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(pytest.fail.Exception, match="until pigs fly; last answer: 0"):
        wait_for(lambda: 0, timeout=0.05, what="pigs fly")


def test_nothing_of_the_run_is_reached_from_other_machines() -> None:
    assert os.environ["REDIS_URL"].startswith("unix:")
    assert os.environ["DATABASE_URL"].startswith(("sqlite:", "postgres://postgres@%2F"))
