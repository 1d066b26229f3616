"""The addresses of TaskCenter. A site includes them: `path("tasks/", include("taskcenter.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views.health import health, ready
from .views.notifications import notification_list
from .views.reports import report_detail, report_download
from .views.state import task_state
from .views.tasks import task_cancel, task_detail, task_list, task_retry

__all__ = ["app_name", "urlpatterns"]

app_name = "taskcenter"

urlpatterns = [
    path("", task_list, name="task-list"),
    path("tasks/<uuid:task_id>/", task_detail, name="task-detail"),
    path("tasks/<uuid:task_id>/cancel/", task_cancel, name="task-cancel"),
    path("tasks/<uuid:task_id>/retry/", task_retry, name="task-retry"),
    path("state/", task_state, name="task-state"),
    path("reports/<int:pk>/", report_detail, name="report-detail"),
    path("reports/<int:pk>/<str:kind>/", report_download, name="report-download"),
    path("notifications/", notification_list, name="notification-list"),
    path("health/", health, name="health"),
    path("ready/", ready, name="ready"),
]
