"""TaskCenter in Django's admin: plain ModelAdmins, no theme, nothing inline.

    tasks        TaskAdminMixin (all of it) and TaskAdmin
    task_list    the changelist: cells, what one page of rows needs, search
    task_page    the facts and attempts of one task's page
    filters      choices from settings and the registry, never from a scan of the table
    verbs        retry, cancel, recover: who may, when it makes sense, what came of it
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
