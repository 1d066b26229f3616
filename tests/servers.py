"""The private servers of the tests: those of the drill, under a name of their own."""

from taskcenter.drill.servers import (
    PostgresServer,
    Server,
    ValkeyServer,
    end_with_parent,
    free_port,
    is_gone,
    kill_family,
    postgres_url,
    start_postgres,
    start_valkey,
    valkey_url,
)

__all__ = [
    "PostgresServer",
    "Server",
    "ValkeyServer",
    "end_with_parent",
    "free_port",
    "is_gone",
    "kill_family",
    "postgres_url",
    "start_postgres",
    "start_valkey",
    "valkey_url",
]
