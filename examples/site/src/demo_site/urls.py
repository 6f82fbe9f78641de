"""Where the guest book's page is."""

from __future__ import annotations

from django.urls import path

from demo_site.views import book

urlpatterns = [path("", book)]
