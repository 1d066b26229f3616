"""Two indexes of the admin's lists. Neither is written to by what completes without a title.

A migration of millions of rows must not hold up those who write them: PostgreSQL builds both concurrently.
"""

from django.db import migrations, models

TITLES = "taskcenter_task_title"


class AddIndexQuietly(migrations.AddIndex):
    """As Django's AddIndexConcurrently, which cannot be imported where there is no PostgreSQL driver."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            # What a build that was broken off has left behind is invalid.
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
            schema_editor.add_index(model, self.index, concurrently=True)


def add_titles(apps, schema_editor):
    """SQLite cannot use an index for a search that ignores case in this way: there it is a scan.

    PostgreSQL takes no statistics from a partial index, so it is given them: without, it believes that any start of
    a title is rare, and sorts a million of them.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    remove_titles(apps, schema_editor)
    schema_editor.execute(
        f"CREATE INDEX CONCURRENTLY {TITLES} ON taskcenter_task (upper(title) text_pattern_ops) WHERE title <> ''"
    )
    schema_editor.execute(f"CREATE STATISTICS {TITLES}_stats ON (upper(title)) FROM taskcenter_task")


def remove_titles(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP STATISTICS IF EXISTS {TITLES}_stats")
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {TITLES}")


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("taskcenter", "0005_checks_read_quickly"),
    ]

    operations = [
        AddIndexQuietly(
            model_name="task",
            index=models.Index(condition=models.Q(("finished_at__isnull", False), ("state", "failed")), fields=["finished_at"], name="taskcenter_task_failed_at"),
        ),
        migrations.RunPython(add_titles, remove_titles),
    ]
