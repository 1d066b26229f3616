"""TaskCenter's addresses, which frames name."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("tasks/", include("taskcenter.urls"))]
