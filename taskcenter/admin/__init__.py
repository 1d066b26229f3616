"""TaskCenter in Django's admin: plain ModelAdmins, no theme, nothing inline.

    tasks        TaskAdminMixin (the list and what is done to many) and TaskAdmin
    task_list    the changelist: tabs, cells, what one page of rows needs, how long the list is
    filters      choices from settings and the registry, never from a scan of the table
    pages        what is answered about one task: its page, the questions, downloads
    task_page, attempts, traceback, stack
                 what the page of one task shows
    confirm      the confirmation page that objects and actions share
    failures     what failed alike, and its redrive
    queues, records   queues to pause; reports, workers and duties to look at

A site with an admin theme registers a class of its own:
`class TaskAdmin(TaskAdminMixin, ThemeModelAdmin)`.
"""

from .failures import FailureGroupAdmin
from .queues import QueueAdmin
from .records import DutyAdmin, ReportAdmin, WorkerAdmin
from .tasks import TaskAdmin, TaskAdminMixin

__all__ = ["DutyAdmin", "FailureGroupAdmin", "QueueAdmin", "ReportAdmin", "TaskAdmin", "TaskAdminMixin", "WorkerAdmin"]
