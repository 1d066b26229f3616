"""The addresses of django-rq, guarded: `path("django-rq/", include("taskcenter.urls_rq"))`."""

from __future__ import annotations

from django_rq import urls

from .rq_pages import guarded

__all__ = ["app_name", "urlpatterns"]

app_name = urls.app_name  # its templates look for their own name

urlpatterns = guarded(urls.urlpatterns)
