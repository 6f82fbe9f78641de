"""The guest book's one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join

from demo_site.models import Entry


def book(_request: HttpRequest) -> HttpResponse:
    """The latest entries, newest first."""
    entries = ((entry.guest, entry.place, entry.words) for entry in Entry.objects.all()[:50])
    listed = format_html_join("", "<dt>{} <small>{}</small></dt><dd>{}</dd>", entries)
    return HttpResponse(f"<!doctype html><title>Guest book</title><h1>Guest book</h1><dl>{listed}</dl>")
