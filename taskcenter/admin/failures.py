"""Failure groups in the admin: what failed alike, how often, its tasks, and the redrive."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from taskcenter import redrive
from taskcenter.models import FailureGroup, Task
from taskcenter.models.failure import count_open

from .confirm import reason_of
from .records import LongList
from .task_list import BLOBS

if TYPE_CHECKING:
    from django.urls import URLPattern

__all__ = ["FailureGroupAdmin"]

SHOWN = 20
"""Failed tasks that a group's page lists."""


class FailureChangeList(ChangeList):
    """One page of groups, each with how many of its tasks are failed now: one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = count_open(self.result_list)


@admin.register(FailureGroup)
class FailureGroupAdmin(LongList):
    list_display = ("error", "definition", "attempts", "failed_now", "first_seen", "last_seen")
    search_fields = ("fingerprint__startswith", "definition__startswith", "error_type__istartswith")
    search_help_text = "The start of a fingerprint, a definition or an exception's type."
    ordering = ("-last_seen", "fingerprint")
    fields = (
        "fingerprint",
        "definition",
        "error_type",
        "place",
        "message",
        "count",
        "first_seen",
        "last_seen",
        "latest",
    )
    change_form_template = "admin/taskcenter/failuregroup/change_form.html"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The nightly clean-up forgets what is over."""
        return False

    def has_redrive_permission(self, request: HttpRequest) -> bool:
        """A redrive is many retries."""
        return self.has_view_permission(request) and request.user.has_perm("taskcenter.retry_task")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FailureChangeList

    @admin.display(description="Failure")
    def error(self, group: FailureGroup) -> str:
        return " ".join(str(group).split())[:120] or group.short

    @admin.display(description="Attempts")
    def attempts(self, group: FailureGroup) -> int:
        return group.count

    @admin.display(description="Failed now")
    def failed_now(self, group: FailureGroup) -> int:
        return group.open_tasks

    @admin.display(description="Latest task")
    def latest(self, group: FailureGroup) -> str:
        """Its page has the traceback."""
        if group.task_id is None or not Task.objects.filter(pk=group.task_id).exists():
            return "deleted"
        address = reverse("admin:taskcenter_task_change", args=[group.task_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, group.task_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.redrive_view)
        ours = path("<str:fingerprint>/redrive/", view, name="taskcenter_failuregroup_redrive")
        return [ours, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = dict(extra_context or {})
        group: FailureGroup | None = self.get_object(request, object_id)
        if group is not None and self.has_view_permission(request, group):
            context.update(self._tasks(request, group), title=str(group)[:120], subtitle="", group=group)
            if self.has_redrive_permission(request) and context["tasks"]:
                context["redrive"] = self._address("redrive", group.pk)
        return super().change_view(request, object_id, form_url, context)

    def redrive_view(self, request: HttpRequest, fingerprint: str) -> HttpResponse:
        """GET asks, POST does; without a reason it asks again."""
        if not self.has_redrive_permission(request):
            raise PermissionDenied
        group = FailureGroup.objects.filter(pk=fingerprint).first()
        if group is None:
            raise Http404("There is no such failure; what is over is forgotten after a while.")
        reason = reason_of(request)
        if request.method != "POST" or not reason:
            return self._confirmation(request, group)
        started = redrive.start(group, actor=request.user, reason=reason)
        if started.is_new:
            self.log_change(request, group, f"Redrive: {started.text} {reason}")
        messages.add_message(request, messages.SUCCESS if started.is_new else messages.WARNING, started.text)
        return HttpResponseRedirect(self._afterwards(request, group, started))

    def _confirmation(self, request: HttpRequest, group: FailureGroup) -> TemplateResponse:
        total = redrive.redrivable(group.fingerprint, request.user).count()
        sizes = list(redrive.waves(total))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Redrive {total} tasks?",
            "opts": self.opts,
            "media": self.media,
            "group": group,
            "count": total,
            "share": sizes[1] if len(sizes) > 1 else 0,
            "rest": sum(sizes[2:]),
            "chunk": redrive.CHUNK,
            "lacks_reason": request.method == "POST",
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskcenter/failuregroup/confirm.html", context)

    def _tasks(self, request: HttpRequest, group: FailureGroup) -> dict[str, Any]:
        failed = redrive.redrivable(group.fingerprint, request.user)
        more = urlencode({"state": "failed", "fingerprint": group.fingerprint})
        site = self.admin_site.name
        return {
            "tasks": list(failed.defer(*BLOBS)[:SHOWN]),
            "failed_now": failed.count(),
            "all_tasks": f"{reverse('admin:taskcenter_task_changelist', current_app=site)}?{more}",
        }

    def _afterwards(self, request: HttpRequest, group: FailureGroup, started: redrive.Started) -> str:
        """The page of the redrive, for whoever may look at it; else back to the group."""
        if started.task_id and request.user.has_perm("taskcenter.view_task"):
            site = self.admin_site.name
            return reverse("admin:taskcenter_task_change", args=[started.task_id], current_app=site)
        return self._address("change", group.pk)

    def _address(self, name: str, *args: Any) -> str:
        return reverse(f"admin:taskcenter_failuregroup_{name}", args=args, current_app=self.admin_site.name)
