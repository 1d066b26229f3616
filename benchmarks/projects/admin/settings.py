"""A site with the admin, and TaskCenter in it, as an operator has it before them."""

from __future__ import annotations

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [
    "taskcenter",
    "django_rq",
    "channels",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *INSTALLED_APPS,
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "benchmarks.projects.admin.urls"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["testserver"]
TASKCENTER = {"TASK_MODULES": ("benchmarks.projects.admin.tasks",)}
TASKS = {"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"}}
RQ_QUEUES = {name: {"URL": REDIS_URL} for name in ("default", "mail", "imports", "reports", "old")}
