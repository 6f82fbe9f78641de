"""Guests may say where they come from."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the guest's place."""

    dependencies = (("demo_site", "0001_entry"),)
    operations = (
        migrations.AddField(
            model_name="entry",
            name="place",
            field=models.CharField(blank=True, db_default="", default="", max_length=100),
        ),
    )
