"""A small Django project as a wheel, with migrations, for tests that run real Django."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.wheels import make_wheel, record_text, write_zip

DJANGO = ("Django==5.1.15", "asgiref==3.8.1", "sqlparse==0.5.3")
# three of four files of Django's
UNUSED = re.compile("django/contrib/(admin|admindocs|gis|postgres)/|.*/locale/(?!en/|__init__)")

SETTINGS = """
import os
SECRET_KEY = os.environ["SHOP_SECRET"]
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DATABASE"]}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""

FIRST = """
import time
from django.db import migrations, models

def linger(apps, schema_editor):
    time.sleep(1)

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Article", [("id", models.AutoField(primary_key=True)), ("name", models.TextField())]),
        migrations.RunPython(linger, migrations.RunPython.noop),
    ]
"""

SECOND = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddField("Article", "price", models.IntegerField(null=True))]
"""

BROKEN = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("shop", "0002_price")]
    operations = [migrations.RunSQL("ALTER TABLE no_such_table ADD COLUMN x")]
"""

COMMAND = """
import os
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("words", nargs="*")

    def handle(self, *args, words, **options):
        with open(os.environ["SHOP_TOLD"], "a") as stream:
            stream.write("%s %s\\n" % (os.environ["USER"], "|".join(words)))
"""


def make_site(folder: Path, version: str, *, broken: bool = False, more: Mapping[str, str] | None = None) -> Path:
    """The wheel of a Django project `shop`: 1.x has one migration, 2.x two; `broken` adds one that fails."""
    files = {
        "shop/__init__.py": "",
        "shop/settings.py": SETTINGS,
        "shop/models.py": "",
        "shop/migrations/__init__.py": "",
        "shop/migrations/0001_initial.py": FIRST,
        "shop/management/__init__.py": "",
        "shop/management/commands/__init__.py": "",
        "shop/management/commands/tell.py": COMMAND,
    }
    if not version.startswith("1."):
        files["shop/migrations/0002_price.py"] = SECOND
    if broken:
        files["shop/migrations/0003_broken.py"] = BROKEN
    return make_wheel(folder, "shop", version, requires=["Django>=5.1"], files=files | dict(more or {}))


def without_unused(django: Path, folder: Path) -> Path:
    """The wheel of Django without translations, admin and the like, for tests that copy many virtualenvs with it."""
    with zipfile.ZipFile(django) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if not UNUSED.match(name)}
    record = next(name for name in members if name.endswith(".dist-info/RECORD"))
    del members[record]
    members[record] = record_text(members, record).encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_zip(folder / django.name, members)
    return folder / django.name
