"""A Django project of small apps: each has an author and a book whose tables exist, and a migration to be judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from envfab.planning.migration_verdicts import NOT_BREAKING, Rule

SETTINGS = """
import os
SECRET_KEY = "x"
INSTALLED_APPS = {apps!r}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}}}
if os.environ["DATABASE"].startswith("postgresql:"):
    from urllib.parse import parse_qs, urlsplit
    url = urlsplit(os.environ["DATABASE"])
    query = dict((name, values[0]) for name, values in parse_qs(url.query).items())
    DATABASES["default"] = {{
        "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": url.username,
        "HOST": query["host"], "OPTIONS": {{"options": query["options"]}},
    }}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
print("a line that the settings print")
"""

HEAD = """
import django
from django.db import migrations, models
from django.db.migrations import *
from django.db.models import *

def no_work(apps, schema_editor):
    pass
"""

INITIAL = """
class Migration(migrations.Migration):
    initial = True
    operations = [
        CreateModel("Author", [("id", AutoField(primary_key=True)), ("name", CharField(max_length=50))]),
        CreateModel("Book", [
            ("id", AutoField(primary_key=True)),
            ("title", CharField(max_length=50)),
            ("note", TextField(null=True)),
            ("pages", IntegerField()),
            ("code", CharField(max_length=20)),
            ("author", ForeignKey("{app}.Author", on_delete=CASCADE)),
            ("readers", ManyToManyField("{app}.Author", related_name="+")),
        ] + ([("stock", IntegerField(db_default=1))] if django.VERSION >= (5, 0) else [])),
    ]
"""

CHANGE = """
{before}
class Migration(migrations.Migration):
    dependencies = [("{app}", "0001_initial")]
    atomic = {atomic}
    operations = [{operations}]
"""

CUSTOM = """
class Mystery(migrations.operations.base.Operation):
    def state_forwards(self, app_label, state):
        pass
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        pass
    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        pass
    def describe(self):
        return "Do something mysterious"
"""
CONCURRENT = "from django.contrib.postgres.operations import AddIndexConcurrently"
CHECK = '**{"condition" if django.VERSION >= (5, 1) else "check": Q(pages__gte=0)}'


@dataclass(frozen=True, slots=True)
class Case:
    """The operations of a migration, the rules of envfab's verdicts on it, and the codes of django-migration-linter's.

    `why` justifies that the one holds it for breaking and the other does not. `since` is the Django that has the
    operations.
    """

    operations: str
    rules: str = ""
    linter: str = ""
    why: str = ""
    before: str = ""
    since: tuple[int, int] = (1, 8)
    postgres: bool = False
    atomic: bool = True

    @property
    def breaking(self) -> bool:
        """Whether older code must be expected to fail."""
        return any(Rule(rule) not in NOT_BREAKING for rule in self.rules.split())


WIDER = "the wider type takes and gives all that older code has"
NEW = "older code does not know what is changed, and what it leaves at NULL is no duplicate"
STRICT = "older code may write what the constraint forbids"
# it warns of indexes of small tables, too
INDEX = "CREATE_INDEX CREATE_INDEX_EXCLUSIVE"
# fmt: off
CASES: Mapping[str, Case] = {
    # tables
    "drop_table": Case('DeleteModel("Book")', "drops-table", "DROP_TABLE"),
    "drop_relation": Case('RemoveField("Book", "readers")', "drops-table", "DROP_TABLE"),
    "rename_model": Case('RenameModel("Book", "Volume")', "renames-table renames-column", "RENAME_TABLE RENAME_COLUMN"),
    "rename_table": Case('AlterModelTable("Book", "volumes")', "renames-table", "RENAME_TABLE"),
    "new_table": Case('CreateModel("Shop", [("id", AutoField(primary_key=True)), ("code", CharField(max_length=9, unique=True))])'),
    "new_table_changed": Case('CreateModel("Shop", [("id", AutoField(primary_key=True)), ("x", TextField())]), RemoveField("Shop", "x")', "", "DROP_COLUMN", NEW),
    "new_unmanaged": Case('CreateModel("Shop", [("id", AutoField(primary_key=True))], options={"managed": False})'),
    "new_many_to_many": Case('AddField("Book", "editors", ManyToManyField("{app}.Author", related_name="+"))'),
    # columns
    "drop_column": Case('RemoveField("Book", "code")', "drops-column", "DROP_COLUMN"),
    "rename_column": Case('RenameField("Book", "code", "isbn")', "renames-column", "RENAME_COLUMN"),
    "rename_field_only": Case('AlterField("Book", "code", CharField(max_length=20, db_column="code")), RenameField("Book", "code", "isbn")'),
    "add_required": Case('AddField("Book", "lang", CharField(max_length=2, default="en"))', "adds-required-column", "NOT_NULL"),
    "add_nullable": Case('AddField("Book", "lang", CharField(max_length=2, null=True))'),
    "add_db_default": Case('AddField("Book", "lang", CharField(max_length=2, db_default="en"))', since=(5, 0)),
    "add_db_default_null": Case('AddField("Book", "lang", CharField(max_length=2, default="en", db_default=None))', "adds-required-column", "NOT_NULL", since=(5, 0)),
    "add_then_default": Case('AddField("Book", "lang", IntegerField(default=5)), RunSQL("ALTER TABLE add_then_default_book ALTER COLUMN lang SET DEFAULT 5", "")', postgres=True),
    "add_in_three_steps": Case('AddField("Book", "lang", IntegerField(null=True)), RunPython(no_work, no_work), AlterField("Book", "lang", IntegerField(default=5))', "adds-required-column", "NOT_NULL"),
    "add_and_drop": Case('AddField("Book", "lang", IntegerField(default=5)), RemoveField("Book", "lang")', "", "NOT_NULL DROP_COLUMN", NEW),
    "order": Case('AlterOrderWithRespectTo("Book", "author")', "adds-required-column", "NOT_NULL"),
    "set_not_null": Case('AlterField("Book", "note", TextField(default=""))', "sets-not-null", "NOT_NULL"),
    "set_not_null_default": Case('AlterField("Book", "note", TextField(db_default=""))', "sets-not-null", "", "Django's INSERTs name every column, so older code writes NULL in spite of the default", since=(5, 0)),
    "drop_not_null": Case('AlterField("Book", "code", CharField(max_length=20, null=True))'),
    "narrower": Case('AlterField("Book", "title", CharField(max_length=20))', "changes-type", "ALTER_COLUMN"),
    "wider": Case('AlterField("Book", "title", CharField(max_length=200))', "", "ALTER_COLUMN", WIDER),
    "bigger": Case('AlterField("Book", "pages", BigIntegerField())', "", "ALTER_COLUMN", WIDER),
    "bigger_key": Case('AlterField("Author", "id", BigAutoField(primary_key=True))', "", "ALTER_COLUMN", WIDER, since=(1, 10)),
    "other_type": Case('AlterField("Book", "pages", TextField())', "changes-type", "ALTER_COLUMN"),
    # what may be written
    "unique": Case('AlterField("Book", "code", CharField(max_length=20, unique=True))', "adds-unique", f"ADD_UNIQUE {INDEX}"),
    "unique_together": Case('AlterUniqueTogether("Book", {("title", "code")})', "adds-unique", "ADD_UNIQUE"),
    "unique_constraint": Case('AddConstraint("Book", UniqueConstraint(fields=["code"], name="unique_constraint_c"))', "adds-unique", "ADD_UNIQUE", since=(2, 2)),
    "unique_new": Case('AddField("Book", "isbn", CharField(max_length=9, null=True, unique=True))', "", INDEX),
    "unique_new_default": Case('AddField("Book", "isbn", CharField(max_length=9, db_default="-", unique=True))', "adds-unique", INDEX, "two rows of older code have the same default", since=(5, 0)),
    "unique_with_new": Case('AddField("Book", "part", IntegerField(null=True)), AlterUniqueTogether("Book", {("code", "part")})', "", "ADD_UNIQUE", NEW),
    "unique_nulls": Case('AddField("Book", "part", IntegerField(null=True)), AddConstraint("Book", UniqueConstraint(fields=["part"], name="unique_nulls_c", nulls_distinct=False))', "adds-unique", "ADD_UNIQUE", since=(5, 0), postgres=True),
    "unique_expression": Case('AddConstraint("Book", UniqueConstraint(Func("code", function="LOWER"), name="unique_expression_c"))', "adds-unique", "ADD_UNIQUE CREATE_INDEX", since=(4, 0)),
    "check": Case(f'AddConstraint("Book", CheckConstraint({CHECK}, name="check_c"))', "adds-check", "", STRICT, since=(2, 2)),
    "positive": Case('AlterField("Book", "pages", PositiveIntegerField())', "adds-check", "", STRICT, postgres=True),
    "foreign_key": Case('AlterField("Book", "pages", ForeignKey("{app}.Author", db_column="pages", related_name="+", on_delete=CASCADE))', "adds-foreign-key", INDEX, STRICT),
    "new_foreign_key": Case('AddField("Book", "editor", ForeignKey("{app}.Author", null=True, related_name="+", on_delete=CASCADE))', "", INDEX),
    "index": Case('AddIndex("Book", Index(fields=["code"], name="index_i"))', "", "CREATE_INDEX", since=(1, 11)),
    "index_concurrently": Case('AddIndexConcurrently("Book", Index(fields=["code"], name="index_concurrently_i"))', before=CONCURRENT, since=(3, 0), postgres=True, atomic=False),
    "drop_default": Case('AlterField("Book", "stock", IntegerField(default=1))', "drops-default", "", "INSERTs of older code leave the value to the database", since=(5, 0)),
    "drop_default_for_null": Case('AlterField("Book", "stock", IntegerField(null=True))', since=(5, 0)),
    "drop_and_set_default": Case('AlterField("Book", "stock", IntegerField(default=1)), AlterField("Book", "stock", IntegerField(db_default=2))', since=(5, 0)),
    "options": Case('AlterModelOptions("Book", {"ordering": ["title"], "managed": False})'),
    # SQL, code, and operations of others
    "sql_drop_column": Case('RunSQL(["/* x; */ ALTER TABLE sql_drop_column_book DROP COLUMN code", ("UPDATE sql_drop_column_book SET title = %s", ["DROP COLUMN title"])], "")', "drops-column", "DROP_COLUMN"),
    "sql_drop_unknown": Case('RunSQL("ALTER TABLE sql_drop_unknown_book ADD COLUMN old int; ALTER TABLE sql_drop_unknown_book DROP COLUMN old", "")', "", "DROP_COLUMN", NEW, postgres=True),
    "sql_default": Case('RunSQL("ALTER TABLE sql_default_book ADD COLUMN lang varchar(2) DEFAULT \'en\' NOT NULL", "", state_operations=[AddField("Book", "lang", CharField(max_length=2, default="en"))])'),
    "sql_do": Case('RunSQL("DO $$ BEGIN END $$", "")', "not-judged", postgres=True),
    "sql_long": Case('RunSQL("SELECT \'" + "x" * 30000 + "\'", "")', "not-judged"),
    "sql_irreversible": Case('RunSQL("UPDATE sql_irreversible_book SET pages = 1")', "irreversible", "RUNSQL_REVERSIBLE"),
    "code_irreversible": Case('RunPython(no_work)', "irreversible", "RUNPYTHON_REVERSIBLE"),
    "state_only": Case('SeparateDatabaseAndState(state_operations=[RemoveField("Book", "note")])'),
    "database_only": Case('SeparateDatabaseAndState(database_operations=[RemoveField("Book", "note")])', "drops-column", "DROP_COLUMN"),
    "mystery": Case('Mystery()', "not-judged", before=CUSTOM),
    # locks: the tables of these are large
    "large_index": Case('AddIndex("Book", Index(fields=["code"], name="large_index_i"))', "locks-table", "CREATE_INDEX", postgres=True),
    "large_unique": Case('AlterField("Book", "code", CharField(max_length=20, unique=True))', "adds-unique locks-table", f"ADD_UNIQUE {INDEX}", postgres=True),
    "large_type": Case('AlterField("Book", "pages", BigIntegerField())', "locks-table", "ALTER_COLUMN", WIDER, postgres=True),
    "large_wider": Case('AlterField("Book", "title", CharField(max_length=200))', "", "ALTER_COLUMN", WIDER, postgres=True),
    "large_concurrently": Case('AddIndexConcurrently("Book", Index(fields=["code"], name="large_concurrently_i"))', before=CONCURRENT, postgres=True, atomic=False),
}
# fmt: on


def cases_for(django: tuple[int, int], postgres: bool) -> dict[str, Case]:
    """The cases that a version of Django has, on that database."""
    return {name: case for name, case in CASES.items() if case.since <= django and (postgres or not case.postgres)}


def write_project(folder: Path, names: Iterable[str]) -> None:
    """Write the settings and the apps."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.py").write_text(SETTINGS.format(apps=list(names)))
    for app in names:
        case = CASES[app]
        operations = case.operations.replace("{app}", app)
        migrations = folder / app / "migrations"
        migrations.mkdir(parents=True)
        for package in (folder / app, migrations):
            (package / "__init__.py").touch()
        (migrations / "0001_initial.py").write_text(HEAD + INITIAL.format(app=app))
        change = CHANGE.format(app=app, before=case.before, atomic=case.atomic, operations=operations)
        (migrations / "0002_change.py").write_text(HEAD + change)
