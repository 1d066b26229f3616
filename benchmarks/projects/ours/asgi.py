"""The socket as a site serves it."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402 apps first
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 as above

from taskcenter.consumers import websocket_urlpatterns  # noqa: E402 as above

__all__ = ["application"]

websocket = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
application = ProtocolTypeRouter({"http": http, "websocket": websocket})
