"""The dashboard: is work moving, and if not, what to do about it.

The page is whole without a script. With it, `live/` is asked for the same regions every few seconds.
"""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.views.decorators.http import require_safe

from taskcenter.models import Dashboard
from taskcenter.rq_pages import PERMISSION

from .board import Board
from .history import SPANS

if TYPE_CHECKING:
    from django.urls import URLPattern

__all__ = ["DashboardAdmin"]


@admin.register(Dashboard)
class DashboardAdmin(admin.ModelAdmin):
    """An entry of the menu, and one page; there are no rows."""

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("taskcenter/taskcenter.css", "taskcenter/pages.css")}
        js = (Script("taskcenter/dashboard.js", type="module"),)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("taskcenter.view_dashboard")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whoever may see only this finds it in the menu too."""
        return self.has_view_permission(request) or super().has_module_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """In place of the admin's own: each of those would ask for a table."""
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(require_safe(self.page_view)), name="taskcenter_dashboard_changelist"),
            path("live/", wrap(require_safe(self.live_view)), name="taskcenter_dashboard_live"),
        ]

    def page_view(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            **self._board(request),
            "title": "Dashboard",
            "opts": self.opts,
            "media": self.media,
            "spans": SPANS.values(),
            "live_url": reverse("admin:taskcenter_dashboard_live", current_app=self.admin_site.name),
            "rq_url": self._rq_url(request),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskcenter/dashboard/page.html", context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The regions alone."""
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskcenter/dashboard/regions.html", self._board(request))

    def _board(self, request: HttpRequest) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        span = SPANS.get(request.GET.get("range", ""), SPANS["1h"])
        return {"board": Board(request.user, span, site=self.admin_site.name), "span": span}

    def _rq_url(self, request: HttpRequest) -> str:
        """django-rq's own pages, for whoever may open them."""
        if not request.user.has_perm(PERMISSION):
            return ""
        try:
            return reverse("admin:django_rq_dashboard_changelist", current_app=self.admin_site.name)
        except NoReverseMatch:
            return ""
