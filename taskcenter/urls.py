"""The addresses of TaskCenter. A site includes them: `path("tasks/", include("taskcenter.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views.api import api_cancel, api_nothing, api_report, api_retry, api_task, api_tasks
from .views.health import health, ready
from .views.notifications import notification_list
from .views.reports import report_detail, report_download
from .views.shares import share_create, share_revoke, shared_state, shared_task
from .views.state import task_state
from .views.tasks import task_cancel, task_detail, task_list, task_retry

__all__ = ["app_name", "urlpatterns"]

app_name = "taskcenter"

urlpatterns = [
    path("", task_list, name="task-list"),
    path("tasks/<uuid:task_id>/", task_detail, name="task-detail"),
    path("tasks/<uuid:task_id>/cancel/", task_cancel, name="task-cancel"),
    path("tasks/<uuid:task_id>/retry/", task_retry, name="task-retry"),
    path("tasks/<uuid:task_id>/shares/", share_create, name="share-create"),
    path("tasks/<uuid:task_id>/shares/<int:pk>/revoke/", share_revoke, name="share-revoke"),
    path("shared/state/", shared_state, name="shared-state"),
    path("shared/<str:token>/", shared_task, name="shared-task"),
    path("state/", task_state, name="task-state"),
    path("reports/<int:pk>/", report_detail, name="report-detail"),
    path("reports/<int:pk>/<str:kind>/", report_download, name="report-download"),
    path("notifications/", notification_list, name="notification-list"),
    path("api/tasks/", api_tasks, name="api-tasks"),
    path("api/tasks/<uuid:task_id>/", api_task, name="api-task"),
    path("api/tasks/<uuid:task_id>/cancel/", api_cancel, name="api-cancel"),
    path("api/tasks/<uuid:task_id>/retry/", api_retry, name="api-retry"),
    path("api/state/", task_state, name="api-state"),
    path("api/reports/<int:pk>/", api_report, name="api-report"),
    path("api/<path:rest>", api_nothing, name="api-nothing"),
    path("health/", health, name="health"),
    path("ready/", ready, name="ready"),
]
