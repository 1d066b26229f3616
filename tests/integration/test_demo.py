"""`manage.py demo` as a newcomer runs it: nothing is running beforehand, nothing runs afterwards."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from analysis.demo.bar import Bar
from analysis.demo.group import RESTARTS, Group
from analysis.demo.house import DemoError, free_port, kept_secret, only_one

ROOT = Path(__file__).resolve().parents[2]
LONG = 120.0

Start = Callable[..., "subprocess.Popen[str]"]


def wait_until(true: Callable[[], object], seconds: float = LONG, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what or true}"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Everything that was started with this demo's folder in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DATA_DIR") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "demo"
    yield folder
    for process in processes_of(folder):
        process.kill()


@pytest.fixture
def demo(home: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **extra: str) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if k not in {"REDIS_URL", "DATABASE_URL", "DEMO_PASSWORD"}}
        env = {**kept, "DATA_DIR": str(home), "DJANGO_SETTINGS_MODULE": "analysis.settings", **extra}
        command = [sys.executable, str(ROOT / "manage.py"), "demo", *arguments]
        process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=LONG)


def ended(process: subprocess.Popen[str], seconds: float = LONG) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def serving(process: subprocess.Popen[str]) -> str:
    """Wait until the demo says that it serves; where."""
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        found = re.search(r"Serving on (\S+) until", line)
        if found:
            return found[1]
    pytest.fail("the demo ended:\n" + "".join(said) + process.communicate()[1])


def test_once_ends_with_a_report_and_nothing_running_and_works_a_second_time(demo: Start, home: Path) -> None:
    for _ in range(2):
        code, out, err = ended(demo("--once"))
        assert code == 0, out + err
        assert "First findings:" in out
        assert re.search(r"Sign in as demo with the password \S+", out)
        assert processes_of(home) == []
    files = list(home.glob("report-*.html"))
    assert len(files) == 2
    assert all("<svg" in file.read_text() for file in files)


def test_once_reports_on_any_file(demo: Start, tmp_path: Path) -> None:
    path = tmp_path / "=my file.tsv"
    path.write_text("a\tb\n" + "1\tx\n" * 50)
    code, out, err = ended(demo("--once", "--file", str(path)))
    assert code == 0, out + err
    assert "=my file.tsv" in out


def test_once_with_a_bad_file_says_why_in_a_sentence_and_fails(demo: Start, tmp_path: Path, home: Path) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    code, _, err = ended(demo("--once", "--file", str(path)))
    assert code == 1
    assert err.startswith("No report: ")
    assert "Traceback" not in err
    assert processes_of(home) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--file", "no-such-file.csv"], "There is no file no-such-file.csv"),
        (["--file", "."], "is not a file"),
        (["--port", "99999"], "--port must be between"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_exit_2(demo: Start, home: Path, arguments: list[str], told: str) -> None:
    code, _, err = ended(demo(*arguments))
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert processes_of(home) == []


def test_a_database_that_cannot_be_reached_is_one_sentence(demo: Start) -> None:
    code, _, err = ended(demo("--once", DATABASE_URL="postgres://nobody@127.0.0.1:1/none"))
    assert code == 1
    assert "The database cannot be used" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_everything_in_seconds(demo: Start, home: Path) -> None:
    process = demo()
    serving(process)
    assert len(processes_of(home)) > 4
    process.send_signal(signal.SIGINT)
    assert ended(process, 25)[0] == 0
    assert processes_of(home) == []


def test_killing_the_demo_takes_its_processes_along(demo: Start, home: Path) -> None:
    process = demo()
    serving(process)
    process.kill()
    wait_until(lambda: not processes_of(home), 30, "the children to follow their parent")


def test_a_taken_port_and_a_second_demo(demo: Start, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        first = demo("--port", str(port))
        url = serving(first)
        assert int(url.rstrip("/").rpartition(":")[2]) > port
    code, _, err = ended(demo("--once"))
    assert code == 1
    assert f"Another demo (process {first.pid}) runs in" in err


def test_a_worker_that_dies_is_started_again(demo: Start, home: Path) -> None:
    process = demo()
    serving(process)
    worker = next(p for p in processes_of(home) if "rqworker" in p.cmdline() and p.ppid() == process.pid)
    worker.kill()
    assert process.stdout
    assert any("The worker ended (code -9); starting it again" in line for line in process.stdout)
    # In the middle of starting it: a handler that raises would be lost in the fork.
    process.terminate()
    assert ended(process, 40)[0] == 0
    assert processes_of(home) == []


def test_a_process_that_keeps_dying_ends_the_group_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    group = Group(tmp_path, dict(os.environ), said.append)
    group.start("web", [sys.executable, "-c", "import sys; sys.exit('no such thing')"])
    try:
        with pytest.raises(DemoError, match=r"keeps ending .*no such thing"):
            group.wait_until(lambda: False, LONG, "nothing")
    finally:
        group.stop()
    assert len(said) == RESTARTS


def test_one_folder_holds_one_demo_and_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(DemoError, match=str(os.getpid())), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_the_password_is_kept_and_private(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "secret", 9)
    assert kept_secret(tmp_path / "secret", 9) == first
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_free_port_skips_a_taken_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


class Screen:
    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal, self.text = is_terminal, ""

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def frame(progress: float | None, stage: str, *, final: bool = False) -> dict[str, object]:
    state = "completed" if final else "processing"
    return {"progress": progress, "stage": stage, "message": "", "state": state, "shown": state, "final": final}


def test_the_bar_is_one_changing_line_on_a_terminal_and_a_line_per_stage_elsewhere() -> None:
    terminal, log = Screen(is_terminal=True), Screen(is_terminal=False)
    for screen in (terminal, log):
        bar = Bar(screen)  # type: ignore[arg-type]
        for progress, stage in ((None, "load"), (0.25, "load"), (0.5, "load"), (1.0, "render")):
            bar.show(frame(progress, stage))
        bar.show(frame(1.0, "", final=True))
        bar.close()
    assert terminal.text.count("\n") == 1
    assert " 50%" in terminal.text
    assert log.text == "[processing] load\n[processing] render\n[completed]\n"
