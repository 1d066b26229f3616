"""The moment at which the catalogue looks at every page."""

from datetime import UTC, datetime

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
