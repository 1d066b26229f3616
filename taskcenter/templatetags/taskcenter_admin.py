"""`{% load taskcenter_admin %}`: what our admin pages print beside the admin's own templates."""

from __future__ import annotations

from typing import Any

import django
from django import template
from django.utils.safestring import SafeString

__all__ = ["register"]

register = template.Library()


@register.simple_tag(takes_context=True)
def media_here(context: template.Context) -> SafeString | Any:
    """The page's `media` with the nonce that the policy gives it: what `csp_nonce_attr` is in Django 6.1."""
    media, nonce = context.get("media", ""), context.get("csp_nonce")
    return media.render(attrs={"nonce": nonce}) if media and nonce and django.VERSION >= (6, 1) else media
