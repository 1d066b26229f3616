"""Under a policy of nonces alone, which needs Django 6.1: our pages load their scripts and styles, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import django
import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import BrowserContext, Page, expect

from .catalogue import ADMIN, PEOPLE, Look
from .conftest import Console, Site
from .office import furnish, noon

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(django.VERSION < (6, 1), reason="The admin of Django 5.2 prints no nonces."),
]


@pytest.fixture(scope="module")
def strict_site(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    log = tmp_path_factory.mktemp("strict") / "uvicorn.log"
    site = Site(log, "tests.browser.still_site:application", STILL_SETTINGS="tests.browser.nonce_settings")
    yield site
    site.kill9()


def test_our_pages_load_under_nonces_alone(
    strict_site: Site,
    new_context: Callable[..., BrowserContext],
    login: Callable[..., None],
    console: Console,
) -> None:
    with noon():
        ids = furnish()
        people = {name: new_context() for name in ("ann", "nora", "root", "vera")}
        for name, context in people.items():
            login(get_user_model().objects.get(username=name), context)
    pages = {name: context.new_page() for name, context in people.items()}
    found = []
    for look in (look.at(strict_site.url, ids) for look in [*ADMIN, *PEOPLE] if _is_ours(look)):
        page = pages[look.who]
        page.goto(look.address)
        if look.then:
            look.then(page)
        found += [f"{look.name}: {said}" for said in _said(console)]
    assert not found, "\n" + "\n".join(found)


def test_the_policy_bites(strict_site: Site, page: Page, console: Console) -> None:
    """Else the test above would prove nothing."""
    answer = page.goto(f"{strict_site.url}/admin/login/")
    assert answer
    assert "script-src 'nonce-" in answer.headers["content-security-policy"]
    page.evaluate("document.head.append(Object.assign(document.createElement('style'), {textContent: 'p {top: 0}'}))")
    expect(page.locator("#id_username")).to_be_visible()
    assert any("policy: style-src-elem" in said for said in _said(console))


def _is_ours(look: Look) -> bool:
    """Pages of the site itself keep to 'self'; they are not there without its templates."""
    return (
        look.is_there
        and look.who
        and look.status == 200
        and ("/admin/" in look.address or look.address.startswith("/tasks/"))
    )


def _said(console: Console) -> list[str]:
    said = console.unexpected()
    console.complaints.clear()
    return said
