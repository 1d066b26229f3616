"""Every version that `make bench` installs. One tuple per environment, complete, so that a later run measures the same.

Change a version here and the environment is made anew at the next run.
"""

from __future__ import annotations

DJANGO = (
    "asgiref==3.13.0",
    "Django==5.2.19",
    "psycopg==3.3.9",
    "psycopg-binary==3.3.9",
    "sqlparse==0.6.1",
    "typing_extensions==4.16.0",
)
REDIS = ("hiredis==3.5.0", "redis==8.1.0")

RQ = (
    *DJANGO,
    *REDIS,
    "click==8.5.1",
    "croniter==7.0.0",
    "django-rq==4.2.0",
    "python-dateutil==4.0.0",
    "rq==3.0.0",
    "tzdata==2026.6",
)
TASKCENTER = (  # which itself is imported from this checkout
    *RQ,
    "channels==4.3.2",
    "crontab==1.0.5",
    "django-stubs-ext==6.1.2",
    "django-tasks==0.12.0",
    "freezegun==1.5.5",
    "h11==0.16.0",
    "rq-scheduler==0.14.0",
    "uvicorn==0.54.0",
    "websockets==17.4",
)
CELERY = (
    *DJANGO,
    *REDIS,
    "amqp==5.4.2",
    "billiard==4.3.2",
    "celery==5.7.0",
    "click==8.5.1",
    "click-didyoumean==0.3.1",
    "click-plugins==1.1.1.2",
    "click-repl==0.4.1",
    "django_celery_results==2.6.0",
    "kombu==5.7.0",
    "packaging==26.3",
    "prompt_toolkit==3.0.53",
    "python-dateutil==2.9.0.post0",
    "six==1.17.0",
    "tzlocal==5.4.5",
    "vine==5.1.0",
    "wcwidth==0.9.4",
)
HUEY = (*DJANGO, *REDIS, "huey==3.5.4")
DRAMATIQ = (*DJANGO, *REDIS, "django_dramatiq==0.15.0", "dramatiq==2.2.1")
Q2 = (*DJANGO, *REDIS, "django-picklefield==3.4.0", "django-q2==1.11.1")
PROCRASTINATE = (
    *DJANGO,
    "attrs==26.1.0",
    "croniter==7.0.0",
    "packaging==26.3",
    "procrastinate==3.10.0",
    "psycopg-pool==3.3.3",
    "python-dateutil==4.0.0",
    "tzdata==2026.6",
)
TASKS_DB = (*DJANGO, "django-stubs-ext==6.1.2", "django-tasks==0.12.0", "django-tasks-db==0.13.0")

SHOWN = (
    "Django",
    "psycopg",
    "redis",
    "hiredis",
    "rq",
    "django-rq",
    "celery",
    "kombu",
    "django_celery_results",
    "huey",
    "dramatiq",
    "django_dramatiq",
    "django-q2",
    "procrastinate",
    "django-tasks-db",
    "uvicorn",
    "websockets",
)
"""Packages whose versions stand in the report."""
