"""The wheel, alone, in an empty project that does what the README says, word for word.

Each interpreter gets an environment of its own, into which pip installs the wheel and what it depends on.
Python 3.11 brings Django 5.2, later ones bring 6.1. Interpreters are looked for on PATH; name others in
TASKCENTER_PYTHONS, separated as PATH is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import start_valkey

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
LIMIT = 300
"""Seconds that one command may take, pip's downloads included."""

# A block of the README: its name in a comment, then the fence.
BLOCK = re.compile(r"^<!-- test: (\w+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall(README))
WHERE = {"settings": "mysite/settings.py", "sqlite": "mysite/settings.py", "urls": "mysite/urls.py",
         "asgi": "mysite/asgi.py", "task": "shop/tasks.py", "template": "shop/templates/shop/run.html"}  # fmt: skip
"""The file to whose end a block goes."""


def interpreters() -> dict[str, str]:
    """The series of Django that a Python here gets, and that Python; the running one comes first."""
    named = os.environ.get("TASKCENTER_PYTHONS", "").split(os.pathsep)
    on_path = [shutil.which(f"python3.{minor}") for minor in (11, 12, 13)]
    found: dict[str, str] = {}
    for python in filter(None, (sys.executable, *named, *on_path)):
        version = _version(python)
        if version:
            found.setdefault("5.2" if version < (3, 12) else "6.1", python)
    return found


def _version(python: str) -> tuple[int, int] | None:
    """None when it does not start, cannot make environments, or is not a Python we support."""
    probe = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = map(int, answer.stdout.split())
    return (major, minor) if (3, 11) <= (major, minor) <= (3, 13) else None


FOUND = interpreters()


def _param(series: str) -> object:
    missing = pytest.mark.skip(reason=f"no Python for Django {series} on PATH or in TASKCENTER_PYTHONS")
    return pytest.param(series, id=f"django-{series}", marks=() if series in FOUND else missing)


def run(command: list[str] | str, *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What a command that must succeed printed; a string is a line for the shell."""
    answer = subprocess.run(
        command, cwd=cwd, env=env, shell=isinstance(command, str), capture_output=True, text=True, timeout=LIMIT,
        check=False,
    )  # fmt: skip
    assert answer.returncode == 0, f"{command}\n{answer.stdout[-4000:]}\n{answer.stderr[-4000:]}"
    return answer.stdout


@dataclass(frozen=True)
class Project:
    """An empty project with the README applied to it."""

    series: str
    folder: Path
    env: dict[str, str]

    def shell(self, line: str) -> str:
        """A line of the README, in the project's environment."""
        return run(line, cwd=self.folder, env=self.env)

    def python(self, program: str) -> str:
        """A program in the project, with Django set up."""
        setup = "import django; django.setup()\n"
        return run(["python", "-W", "ignore", "-c", setup + program], cwd=self.folder, env=self.env)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, as an index would get it, so that both are complete."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)], cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module", params=[_param("5.2"), _param("6.1")])
def project(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The README's steps 1 to 6, but for the processes."""
    home = tmp_path_factory.mktemp("project")
    valkey = start_valkey(home / "valkey")
    try:
        made = _empty_project(request.param, home, valkey.url)
        (made.folder / "dist").mkdir()
        shutil.copy(wheel, made.folder / "dist")
        made.shell(BLOCKS["install"])
        made.shell("django-admin startproject mysite .")
        made.shell("python manage.py startapp shop")
        _append(made.folder / "mysite/settings.py", 'INSTALLED_APPS += ["shop"]\n')
        for name, where in WHERE.items():
            _append(made.folder / where, BLOCKS[name])
        made.shell("set -e\n" + BLOCKS["migrate"])
        yield made
    finally:
        valkey.stop()


def _empty_project(series: str, home: Path, redis_url: str) -> Project:
    """A folder and a fresh environment that is first on PATH."""
    folder, venv = home / "site", home / "venv"
    folder.mkdir()
    run([FOUND[series], "-m", "venv", str(venv)], cwd=home)
    strangers = {"PYTHONPATH", "PYTHONHOME", "DATABASE_URL", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    env = {name: value for name, value in os.environ.items() if name not in strangers}
    env |= {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
    }
    return Project(series, folder, env)


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("\n" + text)


def test_the_readme_holds_every_step() -> None:
    steps = {"install", "migrate", "processes", "enqueue", *WHERE}
    assert set(BLOCKS) == steps


def test_the_wheel_holds_taskcenter_and_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"taskcenter", f"django_taskcenter-{wheel.name.split('-')[1]}.dist-info"}


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = (path for path in (ROOT / "taskcenter").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(ROOT)) for path in package if "__pycache__" not in path.parts}
    assert {"taskcenter/py.typed", "taskcenter/migrations/0001_initial.py"} <= wanted
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("taskcenter/")} == wanted


def test_the_source_distribution_leaves_the_site_out(wheel: Path) -> None:
    with tarfile.open(next(wheel.parent.glob("*.tar.gz"))) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"taskcenter", "README.md", "LICENSE", "pyproject.toml"} <= tops
    assert not tops & {"analysis", "templates", "tests", "docs", "manage.py"}


def test_it_installs_alone_with_the_django_meant(project: Project) -> None:
    program = (
        "import importlib.util as u, json, taskcenter; print(json.dumps("
        "[django.VERSION[:2], taskcenter.__file__, u.find_spec('analysis') is None]))"
    )
    version, source, alone = json.loads(project.python(program))
    assert ".".join(map(str, version)) == project.series
    assert "site-packages" in source
    assert alone


def test_the_system_checks_find_nothing_to_say(project: Project) -> None:
    assert "no issues" in project.shell("python manage.py check --fail-level WARNING")


def test_the_migrations_are_complete(project: Project) -> None:
    assert "No changes" in project.shell("python manage.py makemigrations --check --dry-run taskcenter")


def test_the_readme_s_task_runs_to_its_end(project: Project) -> None:
    worker, scheduler = BLOCKS["processes"].splitlines()
    task_id = _enqueued(project)
    project.shell(f"{scheduler} --once")
    project.shell(f"{worker} --burst")
    task = _task(project, task_id)
    assert task["state"] == "completed", task
    assert task["result"] == {"words": 8}
    assert (task["attempt"], task["failures"], task["progress"]) == (1, 0, 1.0)
    assert task["notified"] == ["A rose is ready"]


def test_the_pages_answer_and_show_the_task_to_its_owner_only(project: Project) -> None:
    task_id = _enqueued(project)
    program = f"""
import json
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
def ask(user, address):
    client = Client()
    user and client.force_login(user)
    answer = client.get("/tasks/" + address)
    return answer.status_code, answer.content.decode()
owner = User.objects.get(username="reader")
stranger, _ = User.objects.get_or_create(username="stranger")
page = "tasks/{task_id}/"
print(json.dumps({{
    "list": ask(owner, ""), "page": ask(owner, page), "stranger": ask(stranger, page)[0],
    "nobody": ask(None, page)[0], "ready": ask(None, "ready/")[0], "notices": ask(owner, "notifications/")[0],
    "state": ask(owner, "state/?ids={task_id}"),
}}))
"""
    seen = json.loads(project.python(program))
    assert (seen["stranger"], seen["nobody"], seen["ready"], seen["notices"]) == (404, 302, 200, 200)
    for name in ("list", "page", "state"):
        status, body = seen[name]
        assert status == 200, body
        assert task_id in body


def test_the_socket_accepts(project: Project) -> None:
    program = """
import asyncio
from asgiref.testing import ApplicationCommunicator
from mysite.asgi import application
headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
scope = {"type": "websocket", "path": "/ws/taskcenter/", "headers": headers, "query_string": b"", "subprotocols": []}
async def main():
    caller = ApplicationCommunicator(application, scope)
    await caller.send_input({"type": "websocket.connect"})
    print((await caller.receive_output(10))["type"])
    await caller.send_input({"type": "websocket.disconnect", "code": 1000})
    await caller.wait(10)
asyncio.run(main())
"""
    assert "websocket.accept" in project.python(program).split()


def test_the_readme_s_page_shows_the_widget(project: Project) -> None:
    task_id = _enqueued(project)
    program = f"""
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import RequestFactory
from taskcenter.models import Task
request = RequestFactory().get("/")
request.user = User.objects.get(username="reader")
print(render_to_string("shop/run.html", {{"task": Task.objects.get(id="{task_id}")}}, request=request))
"""
    page = project.python(program)
    assert f'<task-progress task-id="{task_id}"' in page.replace("\n", " ")
    assert "taskcenter/task-progress.js" in page
    assert "data-taskcenter-unread" in page


def _enqueued(project: Project) -> str:
    """The id that the README's step 7 prints, with somebody there to own the task."""
    reader = "from django.contrib.auth.models import User\nUser.objects.get_or_create(username='reader')\n"
    return project.python(reader + BLOCKS["enqueue"]).split()[-1]


def _task(project: Project, task_id: str) -> dict[str, object]:
    program = f"""
import json
from taskcenter.models import Task
task = Task.objects.get(id="{task_id}")
names = ("state", "result", "attempt", "failures", "progress", "error_message")
notified = [row.text for row in task.notifications.all()]
print(json.dumps({{"notified": notified, **{{name: getattr(task, name) for name in names}}}}))
"""
    found: dict[str, object] = json.loads(project.python(program))
    return found
