"""A program that prints which migrations Django would apply, and what each changes in tables that exist.

It is sent to a host as text, and run there by a generation's interpreter (`python -c`) with the project's settings. It
applies nothing. Django 1.8 and newer can tell; of an older one it prints the version.
"""

from __future__ import absolute_import

import json
import os

MARK = "envfab-migrations: "
OLDEST = (1, 8)
# characters of one text of SQL, of all together, and of a description
MAX_SQL, MAX_ALL_SQL, MAX_DESCRIPTION = 20000, 500000, 1000
# operations whose change of Django's state is not what they do to the database
STATE_ONLY = ("AlterModelOptions", "AlterModelManagers", "RunPython", "RunSQL")
# operations after which the same indexes and constraints have other names or columns
RENAMING = ("RenameModel", "RenameField", "RenameIndex", "AlterModelTable")
DJANGO = ("django.db.migrations.operations.", "django.contrib.")
ABSTRACT = ("Operation", "ModelOperation", "ModelOptionOperation", "FieldOperation", "IndexOperation")
SIZES = (
    "SELECT relname, reltuples, pg_relation_size(oid) FROM pg_class"
    " WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid) AND relname = ANY(%s)"
)


def main():
    """Print one line: `MARK`, and the plan as JSON."""
    import django

    if django.VERSION < OLDEST:
        tell({"too_old": django.get_version()})
        return
    django.setup()
    from django.db import DEFAULT_DB_ALIAS, connections

    tell(plan(connections[DEFAULT_DB_ALIAS]))


def tell(document):
    """Write the document to standard output, whatever the project has made of `sys.stdout`."""
    data = ("\n" + MARK + json.dumps(document) + "\n").encode("ascii")
    while data:
        data = data[os.write(1, data) :]


def plan(connection):
    """What `migrate` would do to the database: migrations with their operations, and the tables that exist."""
    executor = make_executor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    pending = [migration for migration, _ in executor.migration_plan(leaves)]
    if not pending:
        return {"vendor": connection.vendor, "migrations": [], "tables": {}}
    state = applied_state(executor, leaves, pending)
    schema = Schema(connection, state)
    apps = set(app for app, _ in executor.loader.applied_migrations)
    return {
        "vendor": connection.vendor,
        "migrations": [
            {
                "name": "%s.%s" % (migration.app_label, migration.name),
                "fresh": migration.app_label not in apps,
                "operations": schema.follow(state, migration) if schema.start else [],
            }
            for migration in pending
        ],
        "tables": with_sizes(connection, schema.start),
    }


def make_executor(connection):
    """Django's own executor; before 2.0 it would make the table of applied migrations where that does not exist."""
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.recorder import MigrationRecorder

    if not hasattr(MigrationRecorder, "has_table"):
        if MigrationRecorder.Migration._meta.db_table not in connection.introspection.table_names():
            MigrationRecorder.applied_migrations = lambda *_: set()
    return MigrationExecutor(connection)


def applied_state(executor, leaves, pending):
    """The models as of the migrations that are applied."""
    from django.db.migrations.state import ProjectState

    if hasattr(executor, "_create_project_state"):
        state = executor._create_project_state()
    else:
        state = ProjectState(real_apps=list(executor.loader.unmigrated_apps))
    for migration, _ in executor.migration_plan(leaves, clean_start=True):
        if migration not in pending:
            migration.mutate_state(state, preserve=False)
    return state


def columns_of(table):
    """A table's columns by name: the type, and whether it takes NULL."""
    return dict((one["name"], {"type": one["type"], "null": one["null"]}) for one in table["columns"].values())


def with_sizes(connection, tables):
    """The tables with about how many rows they have, and their bytes; null where the database does not tell."""
    sizes = {}
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(SIZES, [sorted(tables)])
            sizes = dict((name, (rows, size)) for name, rows, size in cursor.fetchall())
    found = {}
    for name, columns in tables.items():
        rows, size = sizes.get(name, (None, None))
        # -1, and before PostgreSQL 14 0, is what a table has that was never analyzed
        known = rows is not None and (rows > 0 or (rows == 0 and not size))
        found[name] = {"columns": columns, "rows": int(rows) if known else None, "bytes": size}
    return found


class Schema(object):
    """The tables of Django's states. A model is described once: states share the models that did not change."""

    def __init__(self, connection, state):
        self._connection = connection
        self._described = {}
        self._room = MAX_ALL_SQL
        # the tables that exist before any of the migrations, by name
        self.start = dict((table["name"], columns_of(table)) for table in self.tables(state).values())

    def tables(self, state):
        """Each table by (app, model, field): the field of a many-to-many relation with a table of its own, else empty."""
        found = {}
        for model in state.apps.get_models():
            if self._has_table(model):
                meta = model._meta
                found[meta.app_label, meta.model_name, ""] = self._table(model)
                for field in meta.local_many_to_many:
                    through = relation(field).through
                    if through._meta.auto_created:
                        found[meta.app_label, meta.model_name, field.name] = self._table(through)
        return found

    def _has_table(self, model):
        from django.db import router

        meta = model._meta
        plain = meta.managed and not meta.proxy and not meta.swapped
        # Django 1.8 has no `can_migrate`, and models have nothing else that it asks about
        possible = meta.can_migrate(self._connection) if hasattr(meta, "can_migrate") else plain
        return possible and router.allow_migrate_model(self._connection.alias, model)

    def _table(self, model):
        if model not in self._described:
            self._described[model] = describe(model, self._connection)
        return self._described[model]

    def follow(self, state, migration):
        """Carry a migration out on the state; return the operations that change tables of the start, or may do so."""
        found = []
        for operation in migration.operations:
            found.extend(self._carry_out(state, migration.app_label, operation))
        return [one for one in found if one["changes"] or one["sql"] or not (one["reversible"] and one["known"])]

    def _carry_out(self, state, app, operation):
        kinds = [one.__name__ for one in type(operation).__mro__]
        if "SeparateDatabaseAndState" in kinds:
            beside, found = state.clone(), []
            for inner in operation.database_operations:
                found.extend(self._carry_out(beside, app, inner))
            operation.state_forwards(app, state)
            return found
        told = not any(kind in STATE_ONLY for kind in kinds)
        before = self.tables(state) if told else {}
        operation.state_forwards(app, state)
        changes = differences(before, self.tables(state), Renaming(app, operation, kinds)) if told else []
        return [self._facts(app, operation, kinds, changes)]

    def _shortened(self, sql):
        kept = sql[: min(MAX_SQL, self._room)]
        self._room -= len(kept)
        return kept

    def _facts(self, app, operation, kinds, changes):
        from django.db import router

        here = router.allow_migrate(self._connection.alias, app, **getattr(operation, "hints", {}))
        sql = statements(operation.sql) if "RunSQL" in kinds and here else []
        shown = [self._shortened(one) for one in sql]
        return {
            "does": ("%s" % operation.describe())[:MAX_DESCRIPTION],
            "reversible": bool(operation.reversible) or not here,
            "known": is_known(operation) or not here,
            "gentle": any("Concurrently" in kind or "NotValid" in kind for kind in kinds),
            "changes": [one for one in changes if one["table"] in self.start],
            "sql": shown,
            "cut": shown != sql,
        }


def is_known(operation):
    """Whether it is an operation of Django's own, or made from one."""
    return any(
        (one.__module__ + ".").startswith(DJANGO) and one.__name__ not in ABSTRACT for one in type(operation).__mro__
    )


def statements(sql):
    """The texts of a RunSQL: it takes one, or a list of texts and of (text, parameters)."""
    if isinstance(sql, (list, tuple)):
        return ["%s" % (one[0] if isinstance(one, (list, tuple)) else one) for one in sql]
    return ["%s" % sql] if sql else []


def relation(field):
    """What Django 1.9 calls `remote_field`, and 1.8 `rel`; None of a field without relation."""
    return getattr(field, "remote_field", getattr(field, "rel", None))


def describe(model, connection):
    """A model's table: its name, columns by the names of their fields, uniques, checks and indexes by their names."""
    meta = model._meta
    columns = {}
    for field in meta.local_fields:
        parameters = field.db_parameters(connection=connection)
        if field.column and parameters["type"]:
            columns[field.name] = column(field, parameters, connection)
    names = dict((field, one["name"]) for field, one in columns.items())

    def named(fields):
        return [names.get(field.lstrip("-"), field) for field in fields]

    together = lambda groups: dict(("+".join(group), named(group)) for group in groups)  # noqa: E731
    uniques, checks = together(meta.unique_together), {}
    for one in getattr(meta, "constraints", ()):
        of = uniques if hasattr(one, "fields") else checks
        # where NULLs are duplicates, too, no column makes a row of older code a different one
        of[one.name] = named(getattr(one, "fields", ())) if getattr(one, "nulls_distinct", None) is not False else []
    indexes = together(getattr(meta, "index_together", ()))
    indexes.update((one.name, named(one.fields)) for one in getattr(meta, "indexes", ()))
    return {"name": meta.db_table, "columns": columns, "unique": uniques, "check": checks, "index": indexes}


def column(field, parameters, connection):
    """What a column lets be written into it."""
    remote = relation(field)
    refers = remote is not None and getattr(field, "db_constraint", False)
    empty_is_null = field.empty_strings_allowed and connection.features.interprets_empty_strings_as_nulls
    return {
        "name": field.column,
        "type": "%s" % parameters["type"],
        "null": bool((field.null or empty_is_null) and not field.primary_key),
        "default": has_default(field),
        "refers": bool(refers),
        "unique": bool(field.unique),
        "index": bool(field.db_index),
        "check": "%s" % (parameters.get("check") or ""),
    }


def has_default(field):
    """Whether the database fills the column where an INSERT does not name it; Django's own `default` does not."""
    from django.db.models import AutoField
    from django.db.models.fields import NOT_PROVIDED

    if getattr(field, "generated", False) or isinstance(field, AutoField):
        return True
    default = getattr(field, "db_default", NOT_PROVIDED)
    return default is not NOT_PROVIDED and getattr(default, "value", default) is not None


class Renaming(object):
    """What an operation gives another name: models and fields, by their keys in `Schema.tables`."""

    def __init__(self, app, operation, kinds):
        self.only_names = any(kind in RENAMING for kind in kinds)
        self._app = app
        self._model = self._old = self._new = ""
        if "RenameModel" in kinds:
            self._old, self._new = operation.old_name.lower(), operation.new_name.lower()
        elif "RenameField" in kinds:
            self._model = operation.model_name.lower()
            self._old, self._new = operation.old_name, operation.new_name

    def key(self, key):
        """The key that a table has afterwards."""
        app, model, field = key
        if app == self._app and self._model and model == self._model and field == self._old:
            return app, model, self._new
        if app == self._app and not self._model and self._old and model == self._old:
            return app, self._new, field
        return key

    def field(self, key, name):
        """The name that a field has afterwards; many-to-many tables have fields named as models."""
        app, model, relation_field = key
        if self._model and (app, model, relation_field) == (self._app, self._model, ""):
            return self._new if name == self._old else name
        if not self._model and self._old and relation_field:
            for prefix in ("", "from_", "to_"):
                if name == prefix + self._old:
                    return prefix + self._new
        return name


def change(kind, table, columns=(), before="", after="", null=True, default=False):
    """One change, as `models.migration_plan.Change` has it."""
    return {
        "kind": kind,
        "table": table["name"],
        "columns": list(columns),
        "before": before,
        "after": after,
        "null": null,
        "default": default,
    }


def differences(before, after, renaming):
    """The changes that lead from some tables to others."""
    found = []
    for key, old in sorted(before.items()):
        new = after.get(renaming.key(key))
        if new is None:
            found.append(change("drop-table", old))
        elif new is not old:
            found.extend(table_changes(key, old, new, renaming))
    return found


def table_changes(key, old, new, renaming):
    """The changes of one table."""
    if old["name"] != new["name"]:
        yield change("rename-table", old, before=old["name"], after=new["name"])
    left = dict(new["columns"])
    for name, one in sorted(old["columns"].items()):
        other = left.pop(renaming.field(key, name), None)
        if other is None:
            yield change("drop-column", old, [one["name"]])
        else:
            for found in column_changes(old, one, other):
                yield found
    for _, one in sorted(left.items()):
        yield change("add-column", old, [one["name"]], after=one["type"], null=one["null"], default=one["default"])
        # older code leaves it empty, or at its default, so that its check is met
        for found in added(old, dict(one, unique=False, refers=False, index=False), one):
            yield found
    if not renaming.only_names:
        for kind in ("unique", "check", "index"):
            for name in sorted(set(new[kind]) - set(old[kind])):
                yield change("add-" + kind, old, new[kind][name])


def column_changes(table, old, new):
    """The changes of one column."""
    names = [old["name"]]
    if old["name"] != new["name"]:
        yield change("rename-column", table, names, before=old["name"], after=new["name"])
    if old["type"] != new["type"]:
        yield change("change-type", table, names, before=old["type"], after=new["type"])
    if old["null"] != new["null"]:
        yield change("drop-not-null" if new["null"] else "set-not-null", table, names)
    if old["default"] != new["default"]:
        yield change("set-default" if new["default"] else "drop-default", table, names, null=new["null"])
    for found in added(table, old, new):
        yield found


def added(table, old, new):
    """The constraints and indexes that a column gets."""
    names = [old["name"]]
    if new["unique"] and not old["unique"]:
        yield change("add-unique", table, names)
    elif new["index"] and not old["index"]:
        yield change("add-index", table, names)
    if new["refers"] and not old["refers"]:
        yield change("add-foreign-key", table, names)
    # a check has the name of its column in it
    if new["check"] and new["check"] != old["check"] and new["name"] == old["name"]:
        yield change("add-check", table, names)


if __name__ == "__main__":
    main()
