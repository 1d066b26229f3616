"""What every page must have whatever it says: a title, a heading, landmarks, a way past the navigation."""

from __future__ import annotations

from playwright.sync_api import Page

SKELETON = """() => {
  const faults = [];
  const shown = e => e.checkVisibility({visibilityProperty: true});
  const need = (holds, text) => holds || faults.push(text);
  const headings = [...document.querySelectorAll('h1')].filter(shown);
  need(document.title.trim().replace(/^·/, ''), 'no title');
  need(document.documentElement.lang, 'no language');
  need(headings.length === 1, `${headings.length} h1: ${headings.map(e => e.textContent.trim())}`);
  need(document.querySelectorAll('main, [role=main]').length === 1, 'not one main');
  const skip = document.querySelector('a[href^="#"]');
  const target = skip && document.getElementById(skip.hash.slice(1));
  need(target?.closest('main, [role=main], #main') || !document.querySelector('nav'), 'no link past the navigation');
  const path = document.querySelector('.breadcrumbs');
  need(!path || getComputedStyle(path).backgroundColor !== 'rgba(0, 0, 0, 0)', 'the path is not dressed');
  for (const link of document.querySelectorAll('a'))
    if (shown(link) && ['', '#', null].includes(link.getAttribute('href')))
      faults.push(`a link to nowhere: ${link.textContent.trim()}`);
  return faults;
}"""

# The first Tab says that a keyboard is used: from then on focus given by a script shows as well.
FOCUS = """() => {
  const look = e => {
    const parts = [e, e.parentElement, e.closest('label, li, summary')].filter(Boolean);
    return JSON.stringify(parts.map(part => {
      const s = getComputedStyle(part);
      return [s.outlineStyle === 'none' ? '' : s.outline, s.boxShadow, s.borderColor, s.backgroundColor,
              s.color, s.textDecorationLine, s.left, s.top];
    }));
  };
  const faults = [];
  const stops = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  for (const e of document.querySelectorAll(stops)) {
    if (!e.checkVisibility({visibilityProperty: true}) || e.disabled) continue;
    document.activeElement.blur();
    const before = look(e);
    e.focus({preventScroll: true});
    if (document.activeElement === e && look(e) === before)
      faults.push(`focus cannot be seen: ${e.outerHTML.slice(0, 120)}`);
  }
  return faults;
}"""

HEADINGS = """() => [...document.querySelectorAll('main :is(h1, h2, h3), #content :is(h1, h2)')]
  .filter(e => e.checkVisibility()).map(e => e.textContent.trim())"""

# A button that belongs to no form does nothing without a script.
DEAD = """() => [...document.querySelectorAll(':is(main, #content) button')]
  .filter(e => e.checkVisibility() && !e.form && !e.closest('.theme-toggle')).map(e => e.outerHTML.slice(0, 120))"""


def skeleton_of(page: Page) -> list[str]:
    return list(page.evaluate(SKELETON))


def focus_of(page: Page) -> list[str]:
    """What a person with a keyboard would lose."""
    page.keyboard.press("Tab")
    return list(page.evaluate(FOCUS))
