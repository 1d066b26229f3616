"""The websocket: a person's page follows many tasks, and their notices, over one socket.

    socket     TaskConsumer: snapshot first, then every change; who may see what is `progress.visible()`
    messages   what a browser may say, and where the limits are
    session    whether the person is still signed in

docs/protocol.md has the frames and close codes. A site puts `websocket_urlpatterns` into its URLRouter,
inside AuthMiddlewareStack.
"""

from django.urls import path

from .socket import TaskConsumer

__all__ = ["TaskConsumer", "websocket_urlpatterns"]

websocket_urlpatterns = [path("ws/taskcenter/", TaskConsumer.as_asgi())]
