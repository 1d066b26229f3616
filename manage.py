#!/usr/bin/env python
"""Django's command-line utility for the TaskCenter site."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "analysis.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 the message below
    except ImportError:
        sys.exit("Django is not installed here. Run `make setup`, then use .venv/bin/python manage.py ...")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
