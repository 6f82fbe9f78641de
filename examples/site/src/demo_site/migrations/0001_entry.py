"""The book itself."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of entries."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("guest", models.CharField(max_length=100)),
                ("words", models.TextField()),
                ("written", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ("-written",)},
        ),
    )
