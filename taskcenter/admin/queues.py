"""Queues in the admin: which are there, how long their lines are, pause and resume."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from taskcenter.conf import redis_queues
from taskcenter.models import Queue, Worker
from taskcenter.models.lines import lines, written
from taskcenter.models.queue import REASON_LENGTH
from taskcenter.queues import MOST_RUNNING, TaskQueue
from taskcenter.states import State

from .confirm import NO_REASON, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.urls import URLPattern
    from django.utils.safestring import SafeString

__all__ = ["QueueAdmin"]


class LimitForm(forms.ModelForm):
    max_running = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_RUNNING,
        label="Most running at once",
        help_text="Empty: any number. To stop the queue, pause it.",
    )
    reason = forms.CharField(required=False, max_length=REASON_LENGTH, help_text="Kept in the history of the queue.")

    class Meta:
        model = Queue
        fields = ("max_running",)


class QueueChangeList(ChangeList):
    """One page of queues, each with its line and its workers: three queries for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        queues, alive = list(self.result_list), Worker.objects.alive().values_list("queues", flat=True)
        serving = Counter(name for names in alive for name in names)
        for queue, line in zip(queues, lines(queue.name for queue in queues), strict=True):
            queue.line, queue.workers = line, serving[queue.name]
        self.result_list = queues


@admin.register(Queue)
class QueueAdmin(admin.ModelAdmin):
    """Pausing keeps workers from claiming; what runs goes on, and tasks can still be enqueued.

    Only queues that settings name are written to, by the verbs of TaskQueue.
    """

    list_display = ("name", "status", "waiting", "running", "most_running", "workers", "reason")
    list_per_page = 50
    list_max_show_all = 0
    sortable_by = ()
    form = LimitForm
    fields = ("name", "max_running", "reason")
    readonly_fields = ("name",)
    actions = ("pause_selected", "resume_selected")
    ordering = ("name",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Queues are named in settings."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Limiting a queue is half of pausing it."""
        return self.has_pause_permission(request) and (obj is None or obj.name in redis_queues())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_pause_permission(request) or super().has_view_permission(request, obj)

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("taskcenter.pause_queue")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """A queue that settings name gets its row, which changes nothing, when somebody looks at the list."""
        Queue.objects.ensure(set(redis_queues()) - set(Queue.objects.values_list("name", flat=True)))
        return super().changelist_view(request, {"title": "Queues", **(extra_context or {})})

    @admin.display(description="State")
    def status(self, queue: Queue) -> str:
        return f"Paused since {timezone.localtime(queue.paused_at):%Y-%m-%d %H:%M}" if queue.paused_at else "Open"

    @admin.display(description="Reason")
    def reason(self, queue: Queue) -> str:
        return queue.paused_reason

    @admin.display(description="Most running", empty_value="any number")
    def most_running(self, queue: Queue) -> int | None:
        return queue.max_running

    @admin.display(description="Waiting")
    def waiting(self, queue: Queue) -> SafeString | str:
        return self._number(queue, State.PENDING)

    @admin.display(description="Processing")
    def running(self, queue: Queue) -> SafeString | str:
        return self._number(queue, State.PROCESSING)

    @admin.display(description="Workers")
    def workers(self, queue: Queue) -> str:
        """Living ones that serve it."""
        return str(getattr(queue, "workers", 0) or "none")

    def _number(self, queue: Queue, state: State) -> SafeString | str:
        """Counted to a limit, for all rows of the page at once; it leads to the tasks."""
        number = written(getattr(queue.line, state)) if hasattr(queue, "line") else ""
        address = reverse("admin:taskcenter_task_changelist", current_app=self.admin_site.name)
        return format_html('<a href="{}?{}">{}</a>', address, urlencode({"state": state, "queue": queue.name}), number)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[QueueChangeList]:
        return QueueChangeList

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        TaskQueue(obj.name).limit(obj.max_running)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What it is now, and why."""
        limit = form.cleaned_data["max_running"] or "any number"
        return f"Most running at once: {limit}. {form.cleaned_data['reason']}".strip()

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
        return self._asked(request, "pause", "paused", lambda queue: queue.pause(reason_of(request)))

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        return self._asked(request, "resume", "resumed", lambda queue: queue.resume(reason_of(request)))

    def _asked(self, request: HttpRequest, verb: str, done: str, act: Callable[[TaskQueue], bool]) -> HttpResponse:
        """GET asks, POST does."""
        if not self.has_pause_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._carry_out(request, done, act)
        names = [name for name in request.GET.getlist("name") if name in redis_queues()]
        Queue.objects.ensure(set(names) - set(Queue.objects.values_list("name", flat=True)))
        if not names:
            raise Http404("Settings name no such queue.")
        return self._confirmation(request, verb, Queue.objects.filter(name__in=names))

    def _carry_out(self, request: HttpRequest, done: str, verb: Callable[[TaskQueue], bool]) -> HttpResponse:
        names = [name for name in request.POST.getlist("name") if name in redis_queues()]
        if names and done == "paused" and not reason_of(request):
            return self._confirmation(request, "pause", Queue.objects.filter(name__in=names), error=NO_REASON)
        changed = [name for name in names if verb(TaskQueue(name))]
        for queue in Queue.objects.filter(name__in=changed):
            self.log_change(request, queue, f"{done.capitalize()}. {reason_of(request)}".strip())
        level = messages.SUCCESS if changed else messages.WARNING
        before = [name for name in names if name not in changed]
        left = f" Left alone, since it was so before: {', '.join(before)}." if before else ""
        messages.add_message(request, level, f"{', '.join(changed) or 'No queue'} {done}.{left}")
        return HttpResponseRedirect(reverse("admin:taskcenter_queue_changelist", current_app=self.admin_site.name))

    def _confirmation(
        self, request: HttpRequest, verb: str, queryset: QuerySet[Queue], *, error: str = ""
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb.capitalize()} queues?",
            "opts": self.opts,
            "verb": verb,
            "queues": [
                (queue, written(line.pending), written(line.processing))
                for queue, line in zip(queryset, lines(queue.name for queue in queryset), strict=True)
            ],
            "error": error,
            "address": reverse(f"admin:taskcenter_queue_{verb}", current_app=self.admin_site.name),
        }
        return TemplateResponse(request, "admin/taskcenter/queue/confirm.html", context)
