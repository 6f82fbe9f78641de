"""What the guest book keeps."""

from __future__ import annotations

from django.db import models


class Entry(models.Model):
    """What a guest wrote, and when."""

    guest = models.CharField(max_length=100)
    words = models.TextField()
    written = models.DateTimeField(auto_now_add=True)
    place = models.CharField(max_length=100, blank=True, default="", db_default="")

    class Meta:
        ordering = ("-written",)
