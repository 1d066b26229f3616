from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "analysis"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from taskcenter.reports import register_renderer  # noqa: PLC0415 models must be loaded first

        from .models import REPORT_SCHEMA  # noqa: PLC0415 as above

        register_renderer(REPORT_SCHEMA, "analysis/report_body.html")
