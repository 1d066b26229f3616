"""The still site under Django's own policy: no script and no style without this answer's nonce. Django 6.1."""

from __future__ import annotations

from django.utils.csp import CSP

from tests.browser.still_settings import *  # noqa: F403 a settings module is its names
from tests.browser.still_settings import MIDDLEWARE, TEMPLATES

MIDDLEWARE = [
    *(name for name in MIDDLEWARE if name != "analysis.middleware.content_security_policy"),
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
]
TEMPLATES = [
    {
        **TEMPLATES[0],
        # Our own pages in their own frame: that of the site is served under 'self'.
        "DIRS": [],
        "OPTIONS": {
            "context_processors": [
                *TEMPLATES[0]["OPTIONS"]["context_processors"],
                "django.template.context_processors.csp",
            ]
        },
    }
]
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.NONCE],
    "style-src": [CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
}
