"""The connections of a worker's parent give up soon; what the settings say stays as it was."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.utils import load_backend

from taskcenter.worker import patience
from taskcenter.worker.patience import impatient

POSTGRES = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"


def test_every_wait_for_postgresql_has_an_end() -> None:
    given = {
        "ENGINE": POSTGRES,
        "NAME": "x",
        "OPTIONS": {"options": "-c search_path=app", "pool": True, "sslmode": "a"},
    }
    options = impatient(given)["OPTIONS"]
    assert options["options"] == "-c search_path=app -c statement_timeout=5000 -c lock_timeout=2000"
    assert (options["connect_timeout"], options["tcp_user_timeout"], options["keepalives"]) == (5, 5000, 1)
    assert options["sslmode"] == "a"
    assert "pool" not in options, "its threads do not survive a fork"
    assert given["OPTIONS"]["options"] == "-c search_path=app", "the settings of others were changed"


@pytest.mark.parametrize(("given", "taken"), [({}, 5), ({"timeout": 20}, 5), ({"timeout": 1}, 1)])
def test_every_wait_for_sqlite_has_an_end(given: dict[str, Any], taken: float) -> None:
    settings = {"ENGINE": SQLITE, "NAME": "x", "OPTIONS": {**given, "transaction_mode": "IMMEDIATE"}}
    assert impatient(settings)["OPTIONS"] == {"timeout": taken, "transaction_mode": "IMMEDIATE"}


@pytest.mark.django_db(transaction=True)
def test_it_can_be_undone() -> None:
    configured = connections["default"]
    patience.be_impatient()
    assert connections["default"] is not configured
    connections.close_all()
    patience.be_patient_again()
    assert connections["default"].settings_dict is connections.settings["default"]
    connections["default"] = configured  # the tests' own, which knows what pytest allows


@pytest.mark.django_db(transaction=True)
def test_a_slot_does_not_wait_for_a_host_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = connections.settings["default"]
    options = {**given.get("OPTIONS", {}), "keepalives_idle": 45} if given["ENGINE"] == POSTGRES else given["OPTIONS"]
    monkeypatch.setattr(connections, "settings", {"default": {**given, "OPTIONS": options}})
    patience.heed_silence()
    connection = connections.create_connection("default")
    try:
        connection.connect()
        if connection.vendor == "postgresql":
            used = connection.connection.info.get_parameters()
            assert (used["tcp_user_timeout"], used["keepalives_interval"]) == ("60000", "10")
            assert used["keepalives_idle"] == "45", "what the site has set is kept"
        else:
            assert connection.settings_dict["OPTIONS"] == options
    finally:
        connection.close()


class Pooler:
    """A server of PostgreSQL's protocol that refuses every client, and those with `options` for these."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                packet = client.recv(4096)
                while len(packet) == 8:  # it asks for TLS, or GSS: not here
                    client.sendall(b"N")
                    packet = client.recv(4096)
                self.packets.append(packet)
                why = b"unsupported startup parameter: options" if b"statement_timeout" in packet else b"closed today"
                body = b"SFATAL\0VFATAL\0C08P01\0M" + why + b"\0\0"
                client.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@pytest.fixture
def pooler() -> Iterator[Pooler]:
    server = Pooler()
    yield server
    server.close()


def test_a_pooler_that_refuses_session_settings_gets_none(
    pooler: Pooler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**connections.settings["default"], "ENGINE": POSTGRES, "NAME": "x", "USER": "u", "PASSWORD": ""}
    settings |= {"HOST": "127.0.0.1", "PORT": pooler.port, "OPTIONS": {}}
    configured = connections["default"]
    connections["default"] = load_backend(POSTGRES).DatabaseWrapper(settings, "default")
    try:
        patience.be_impatient()
        with pytest.raises(OperationalError, match="closed today"), connections["default"].wrap_database_errors:
            connections["default"].connect()
    finally:
        connections["default"] = configured
    assert "pooler refuses" in caplog.text
    assert [b"statement_timeout" in packet for packet in pooler.packets] == [True, False]
