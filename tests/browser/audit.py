"""What a page must keep at any width and in any theme: no sideways scroll, nothing clipped, readable colours."""

from __future__ import annotations

from typing import Any

import django
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Elements that cut their text on purpose carry the whole of it in a title or scroll by themselves.
CLIPPED = """() => [...document.querySelectorAll('h1,h2,h3,p,a,button,label,dt,dd,th,td,li,summary,span,legend')]
  .filter(e => e.offsetParent && e.clientWidth > 1)
  .filter(e => !e.closest('[class*=visually-hidden], svg, [title]'))
  .filter(e => {
    const style = getComputedStyle(e);
    const cuts = (value) => value === 'hidden' || value === 'clip';
    return cuts(style.overflowX) && e.scrollWidth > e.clientWidth + 1 ||
           cuts(style.overflowY) && e.scrollHeight > e.clientHeight + 1;
  })
  .map(e => e.tagName + ' ' + e.className + ': ' + e.textContent.trim().slice(0, 60))"""

# A colour on its way from one theme to the other is nobody's choice. Adopted, for no policy speaks against it.
STILL = """() => {
  if (document.adoptedStyleSheets.length) return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync('*, ::before, ::after { transition: none !important; animation: none !important }');
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""

SCROLLS = "() => document.scrollingElement.scrollWidth - document.documentElement.clientWidth"


# Django's own, as it is: links of its path told by colour alone (before 6.1), a search field named by its title.
DJANGOS = ["#changelist-search", *([".breadcrumbs"] if django.VERSION < (6, 1) else [])]


def keep_still(page: Page) -> None:
    page.evaluate(STILL)


def faults_of(page: Page, *, of_theme: bool = False) -> list[str]:
    """What is wrong with the page as it is shown now, one line each; `of_theme`: only what a theme can spoil."""
    keep_still(page)
    found = [f"clipped: {text}" for text in page.evaluate(CLIPPED)]
    sideways = page.evaluate(SCROLLS)
    if sideways > 0:
        found.append(f"scrolls sideways by {sideways} px")
    return found + _axe(page, {"runOnly": ["color-contrast", "link-in-text-block"]} if of_theme else {})


def _axe(page: Page, options: dict[str, Any]) -> list[str]:
    result: Any = Axe().run(page, {"exclude": DJANGOS}, {"resultTypes": ["violations"], **options})
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary'][:300]}"
        for violation in result.response["violations"]
        if violation["impact"] in {"serious", "critical"} or violation["id"] == "color-contrast"
        for node in violation["nodes"]
    ]
