"""Celery with django-celery-results: as its documentation sets it up, and without a reconnect per task."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]

APP = "benchmarks.projects.celery_results.app"
WORKER = ("-m", "celery", "-A", APP, "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING")


def _celery(name: str, about: str, *, tasks: int, reuse: str = "") -> Runner:
    return Runner(
        name=name,
        about=about,
        project="celery_results",
        pins=pins.CELERY,
        workers=(WORKER,),
        done="SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'",
        tasks=tasks,
        environment=(("BENCH_REUSE", reuse),),
    )


RUNNERS = (
    _celery("celery-db", "Celery prefork, Redis broker, django-celery-results: the baseline", tasks=1000),
    _celery(
        "celery-db-reuse", "the same with `CELERY_DB_REUSE_MAX`: connections are kept", tasks=2500, reuse="1000000"
    ),
)
