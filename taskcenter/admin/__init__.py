"""TaskCenter in Django's admin: plain ModelAdmins, no theme, nothing inline.

    tasks        TaskAdminMixin (the list and what is done to many) and TaskAdmin
    task_list    the changelist: tabs, cells, what one page of rows needs, how long the list is
    filters      choices from settings and the registry, never from a scan of the table
    pages        what is answered about one task: its page, the questions, downloads
    task_page, attempts, traceback, stack
                 what the page of one task shows
    confirm      the confirmation page that objects and actions share
    failures     what failed alike, and its redrive
    queues, workers, records   queues to pause; workers, reports, notifications and duties to look at
    dashboard    its page ── board: one look at everything ── attention, tiles, history: its parts
    rq           django-rq's own pages, guarded

A site with an admin theme registers a class of its own:
`class TaskAdmin(TaskAdminMixin, ThemeModelAdmin)`.
"""

from django.apps import apps

from .dashboard import DashboardAdmin
from .failures import FailureGroupAdmin
from .queues import QueueAdmin
from .records import DutyAdmin, NotificationAdmin, ReportAdmin
from .tasks import TaskAdmin, TaskAdminMixin
from .workers import WorkerAdmin

__all__ = [
    "DashboardAdmin",
    "DutyAdmin",
    "FailureGroupAdmin",
    "NotificationAdmin",
    "QueueAdmin",
    "ReportAdmin",
    "TaskAdmin",
    "TaskAdminMixin",
    "WorkerAdmin",
]

if apps.is_installed("django_rq"):  # else a system check says so, if it gets that far
    from . import rq  # noqa: F401 registers itself
