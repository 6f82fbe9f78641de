"""Programs that run beside the project of `migration_cases`, with its settings: each prints a line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARK = "answer: "

# the models of the first migrations work with the database of the second ones: what fails, by app
OLDER_CODE = """
import django, json
django.setup()
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

def use(app):
    Author, Book = models.get_model(app, "Author"), models.get_model(app, "Book")
    author = Author.objects.create(name="a" * 50)
    for note in (None, "n"):
        book = Book.objects.create(title="t" * 50, code="same", pages=-5, note=note, author=author)
        book.readers.add(author)
        found = Book.objects.get(pk=book.pk)
        assert (found.title, found.pages, found.note) == (book.title, -5, note), "it reads something else"
        assert list(found.readers.all()) == [author]
        found.save()
    connection.check_constraints()

def failure(app):
    try:
        with transaction.atomic():
            use(app)
            transaction.set_rollback(True)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)

executor = MigrationExecutor(connection)
apps = [app for app, _ in executor.loader.graph.leaf_nodes()]
first = [(app, "0001_initial") for app in apps]
models = executor.migrate(first).apps
before = [failure(app) for app in apps]
assert not any(before), before
MigrationExecutor(connection).migrate([(app, "0002_change") for app in apps])
print("answer: " + json.dumps({app: failure(app) for app in apps}))
"""

# (codes of errors, codes of warnings) of the second migrations, by app
LINTER = """
import django, json
django.setup()
from django_migration_linter import MigrationLinter
from django_migration_linter.sql_analyser import analyse_sql_statements

linter = MigrationLinter(no_cache=True, no_output=True)
found = {}
for (app, name), migration in linter.migration_loader.disk_migrations.items():
    if name == "0002_change":
        of_sql = analyse_sql_statements(linter.sql_analyser_class, linter.get_sql(app, name), [])
        of_code = linter.analyse_data_migration(migration)
        found[app] = [sorted({issue.code for issue in of_sql[kind] + of_code[kind]}) for kind in (0, 2)]
print("answer: " + json.dumps(found))
"""


def run(python: Path, program: str, database: str, paths: Sequence[Path]) -> Any:
    """What a program answers, with modules out of `paths`; fails the test where it does not end well."""
    done = subprocess.run(
        [python, "-s", "-c", program],
        cwd="/",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "DATABASE": database,
            "DJANGO_SETTINGS_MODULE": "settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith((MARK, "envfab-migrations: ")))
    return json.loads(line.partition(": ")[2])
