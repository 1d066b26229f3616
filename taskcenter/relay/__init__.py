"""The relay: one Redis subscription per event loop, handed on in memory to every socket of the process.

    Redis ── line ──▶ board ──▶ Inbox of socket 1, 2, 3, …
                        │
                        └─ readings: "the row changed": read once, told to all who watch

    line       the subscription: only to what somebody watches, mended when it is cut
    board      who watches what, and what is known of it
    readings   rows, read many at a time: after a hint, while Redis is away, and all unfinished ones every 20 s
    inbox      what one socket has yet to be told

While Redis is away watched rows are read every two seconds instead, and once more when it is back, so that
nobody ends with old news. An inbox keeps only the newest snapshot of each task: a slow reader costs no memory
and misses nothing but the way there.
"""

from .board import Relay, relay
from .inbox import Inbox, Post

__all__ = ["Inbox", "Post", "Relay", "relay"]
