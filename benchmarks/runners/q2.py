"""django-q2 with its Redis broker and with its ORM broker; it writes the row when the task has ended."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]


def _q2(name: str, about: str, *, broker: str, tasks: int) -> Runner:
    return Runner(
        name=name,
        about=about,
        project="q2",
        pins=pins.Q2,
        workers=(("-m", "django", "qcluster", "--verbosity", "0"),),
        done="SELECT count(*) FROM django_q_task WHERE success",
        tasks=tasks,
        environment=(("BENCH_BROKER", broker),),
    )


RUNNERS = (
    _q2("q2-redis", "django-q2, Redis broker, two workers", broker="redis", tasks=2000),
    _q2("q2-orm", "django-q2, ORM broker, two workers, polling every 0.2 s", broker="orm", tasks=1500),
)
