"""The websocket: a person's page follows many tasks, and their notices, over one socket.

    socket      TaskConsumer: snapshot first, then every change
    connection  the line to the page: told why before it is closed, let go when it takes nothing
    following   what the page follows, as whom, and what it was told last; who may see what is `progress.see()`
    history     the lines of one task's history
    messages    what a browser may say, and where the limits are
    session     whether the person is still signed in

docs/protocol.md has the frames and close codes. A site puts `websocket_urlpatterns` into its URLRouter,
inside AuthMiddlewareStack.
"""

from django.urls import path

from .socket import TaskConsumer

__all__ = ["TaskConsumer", "websocket_urlpatterns"]

websocket_urlpatterns = [path("ws/taskcenter/", TaskConsumer.as_asgi())]
