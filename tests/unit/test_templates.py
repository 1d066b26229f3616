"""What we ship leaves a site's admin, its theme and its own templates alone."""

from __future__ import annotations

from pathlib import Path

from django.template.loader import get_template

import taskcenter

TEMPLATES = Path(taskcenter.__file__).parent / "templates"
SHIPPED = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


def test_only_templates_of_our_own_names_are_shipped() -> None:
    """A wheel with `admin/base_site.html` or `404.html` in it would take the place of somebody else's."""
    assert SHIPPED
    assert [name for name in SHIPPED if not name.startswith(("admin/taskcenter/", "taskcenter/"))] == []


def test_admin_pages_keep_to_the_blocks_of_the_admin() -> None:
    """A theme replaces `admin/…html`: ours extend those, and never a base of their own."""
    pages = [name for name in SHIPPED if name.startswith("admin/") and "{% extends" in _source(name)]
    assert pages
    strange = [name for name in pages if '{% extends "admin/' not in _source(name)]
    assert strange == []


def test_nothing_is_written_inline() -> None:
    """A policy of `'self'` forbids scripts, styles and handlers in the page. Files to download are not pages."""
    files = {"taskcenter/drill.html", "taskcenter/report_file.html"}
    for name in set(SHIPPED) - files:
        source = _source(name)
        assert " style=" not in source, name
        assert "<style" not in source, name
        assert "javascript:" not in source, name
        assert all(" src=" in part.split(">")[0] for part in source.split("<script")[1:]), name
        assert not [word for word in source.split() if word.startswith("on") and '="' in word], name


def test_scripts_and_styles_carry_the_nonce_of_the_page() -> None:
    """Where the policy gives one. A bare `{{ media }}` has none: `{% media_here %}` prints the same with it."""
    for name in SHIPPED:
        source = _source(name)
        assert "{{ media }}" not in source, name
        opened = source.replace("<link", "<script").split("<script ")[1:]
        tags = [part.split(">")[0] for part in opened]
        assert [tag for tag in tags if "nonce=" not in tag] == [], name


def _source(name: str) -> str:
    get_template(name)  # it can be read
    return (TEMPLATES / name).read_text()
