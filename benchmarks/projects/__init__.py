"""What runs inside the runners' environments: one small Django project each, and the client that enqueues.

Every project has `settings.py` and `tasks.py` with `enqueue(kind, number)` and, where its runner can, with
`enqueue_many(kind, numbers)`. The kinds are the functions of bodies.py.
"""
