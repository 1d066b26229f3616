"""django-rq's own pages, for those only who hold its permission.

django-rq defines `django_rq.admin` ("Access admin page") but asks for it nowhere: any staff user may empty a queue
there or delete jobs. So its views are wrapped, wherever they are mounted: in the admin by our admin class in the
place of its own, elsewhere by `include("taskcenter.urls_rq")` in the place of `include("django_rq.urls")`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver

__all__ = ["PERMISSION", "guarded", "unguarded"]

PERMISSION = "django_rq.admin"
_MARK = "taskcenter_guarded"


def guarded(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    """The same addresses; who is signed in without the permission is refused.

    Who is not signed in is left to the view: it sends people to sign in, and monitors show it their token.
    """
    return [URLPattern(one.pattern, _guard(one.callback), one.default_args, one.name) for one in patterns]


def _guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    setattr(guard, _MARK, True)
    return guard


def unguarded() -> list[str]:
    """Addresses at which this site serves django-rq's views without asking for the permission."""
    return sorted(address for address, view in _views(get_resolver()) if _is_bare(view))


def _is_bare(view: Any) -> bool:
    module = getattr(view, "__module__", None) or ""
    return module.partition(".")[0] == "django_rq" and not getattr(view, _MARK, False)


def _views(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for one in resolver.url_patterns:
        address = f"{prefix}{one.pattern}"
        if isinstance(one, URLResolver):
            yield from _views(one, address)
        else:
            yield address, one.callback
