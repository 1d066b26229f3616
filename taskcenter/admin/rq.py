"""django-rq's pages within the admin: its own admin class, guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django_rq.admin import QueueAdmin as RQAdmin
from django_rq.models import Dashboard as RQDashboard

from taskcenter.rq_pages import PERMISSION, guarded

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import URLPattern

__all__ = ["GuardedRQAdmin"]


class GuardedRQAdmin(RQAdmin):  # type: ignore[misc]
    """In the menu, and open, for those who hold django-rq's permission."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        return request.user.has_perm(PERMISSION)

    has_view_permission = has_change_permission

    def get_urls(self) -> list[URLPattern]:
        return guarded(super().get_urls())


# Importing django-rq's admin registers its class, unless settings say that the admin shall not have it.
if admin.site.is_registered(RQDashboard):
    admin.site.unregister(RQDashboard)
    admin.site.register(RQDashboard, GuardedRQAdmin)
