"""Queues in the admin: which are there, how long their lines are, pause and resume."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from taskcenter.conf import redis_queues
from taskcenter.models import Queue, Task
from taskcenter.states import State

from .confirm import reason_of

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.urls import URLPattern

__all__ = ["QueueAdmin"]


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    """Pausing keeps workers from claiming; what runs goes on, and tasks can still be enqueued."""

    list_display = ("name", "status", "reason")
    list_display_links = None
    actions = ("pause_selected", "resume_selected")
    ordering = ("name",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Queues are named in settings."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_pause_permission(request) or super().has_view_permission(request, obj)

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("taskcenter.pause_queue")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """A queue that settings name gets its row, which changes nothing, when somebody looks at the list."""
        missing = set(redis_queues()) - set(Queue.objects.values_list("name", flat=True))
        Queue.objects.bulk_create([Queue(name=name) for name in sorted(missing)], ignore_conflicts=True)
        return super().changelist_view(request, {"title": "Queues", **(extra_context or {})})

    @admin.display(description="State")
    def status(self, queue: Queue) -> str:
        return f"Paused since {timezone.localtime(queue.paused_at):%Y-%m-%d %H:%M}" if queue.paused_at else "Open"

    @admin.display(description="Reason")
    def reason(self, queue: Queue) -> str:
        return queue.paused_reason

    @admin.action(description="Pause…", permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse:
        return self._confirmation(request, "pause", queryset)

    @admin.action(description="Resume…", permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Queue]) -> HttpResponse:
        return self._confirmation(request, "resume", queryset)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        ours = [
            path("pause/", wrap(self.pause_view), name="taskcenter_queue_pause"),
            path("resume/", wrap(self.resume_view), name="taskcenter_queue_resume"),
        ]
        return [*ours, *super().get_urls()]

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        reason = reason_of(request)[:255]
        return self._carry_out(request, "paused", paused_at=timezone.now(), paused_reason=reason)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        return self._carry_out(request, "resumed", paused_at=None, paused_reason="")

    def _carry_out(self, request: HttpRequest, done: str, **changes: Any) -> HttpResponse:
        if not self.has_pause_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        running = changes["paused_at"] is None
        names = request.POST.getlist("name")
        queues = list(Queue.objects.filter(name__in=names, paused_at__isnull=not running))
        for queue in queues:
            Queue.objects.filter(pk=queue.pk).update(**changes)
            self.log_change(request, queue, f"{done.capitalize()}. {reason_of(request)}".strip())
        level = messages.SUCCESS if queues else messages.WARNING
        text = ", ".join(queue.name for queue in queues) or "No queue"
        messages.add_message(request, level, f"{text} {done}.")
        return HttpResponseRedirect(reverse("admin:taskcenter_queue_changelist", current_app=self.admin_site.name))

    def _confirmation(self, request: HttpRequest, verb: str, queryset: QuerySet[Queue]) -> HttpResponse:
        waiting = Task.objects.filter(queue__in=queryset.values("name"), state=State.PENDING).order_by()
        counts = dict(waiting.values_list("queue").annotate(Count("id")))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.capitalize()} queues?",
            "opts": self.opts,
            "verb": verb,
            "queues": [(queue, counts.get(queue.name, 0)) for queue in queryset],
            "address": reverse(f"admin:taskcenter_queue_{verb}", current_app=self.admin_site.name),
        }
        return TemplateResponse(request, "admin/taskcenter/queue/confirm.html", context)
