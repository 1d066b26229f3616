"""A stock RQ worker, started as a site without our command would: django-rq's own, with JSON.

python -m tests.stock_worker rq.Worker default [--burst]
"""

from __future__ import annotations

import sys

import django


def main(worker_class: str, *arguments: str) -> None:
    django.setup()
    from django.core.management import call_command
    from django_rq.management.commands.rqworker import Command

    serializer = "rq.serializers.JSONSerializer"
    call_command(Command(), *arguments, worker_class=worker_class, serializer=serializer)


if __name__ == "__main__":
    main(*sys.argv[1:])
