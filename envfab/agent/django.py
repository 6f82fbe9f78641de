"""Commands of a Django project, `python -m django`, and the plan of its migrations, with the project's environment."""

from __future__ import absolute_import

import os

from .environment_file import parse_environment
from .layout import GENERATIONS
from .protocol import Problem, native, text
from .subprocesses import base_environment, call, ending

# shorter values (`true`, `8000`) are not secrets, and masking them would make output unreadable
SHORTEST_SECRET = 6
# what the line with the plan begins with, as `migration_plan` prints it, and the most of its output that is read
PLAN = "envfab-migrations: "
LONGEST_PLAN = 16 << 20


def django_admin(agent, request, body):
    """Run `python -m django ARGUMENTS` with the project's settings, in the generation `number`.

    If `number` is None, in the virtualenv itself. Returns `{"output": …}`, what was printed, and if that has values of the
    environment, also `shown`, the same without them.
    """
    output, shown = run(agent, request, ["-m", "django"] + request["arguments"], writes=True)
    return {"output": output} if shown == output else {"output": output, "shown": shown}


def migration_plan(agent, request, body):
    """Run the program `agent.migration_plan`, whose text is in the request, in the same way: `{"plan": …}`.

    The plan is JSON, as the program printed it; raises `Problem` if it printed none.
    """
    output, _ = run(agent, request, ["-c", request["program"]], writes=False, kept=LONGEST_PLAN)
    plans = [line[len(PLAN) :] for line in output.splitlines() if line.startswith(PLAN)]
    if not plans:
        raise Problem("django", "printed no plan of its migrations, or one of more than %d MB" % (LONGEST_PLAN >> 20))
    return {"plan": plans[-1]}


def run(agent, request, words, **how):
    """Run the interpreter with the project's settings: (its output, the same without values of the environment).

    Raises `Problem` if it does not end well.
    """
    path = native(request["path"])
    scripts = os.path.join(path, "bin")
    environment = base_environment(path)
    if request["number"] is not None:
        scripts = os.path.join(path, GENERATIONS, str(request["number"]), "bin")
        environment["PATH"] = scripts + ":" + environment["PATH"]
    given = read_env_file(native(request["env_file"])) if request["env_file"] else {}
    given.update(request["env"])
    environment.update(given)
    environment["DJANGO_SETTINGS_MODULE"] = request["settings"]
    status, output = call(agent, [os.path.join(scripts, "python"), "-s"] + words, environment, **how)
    shown = masked(output, given.values())
    if status:
        raise Problem("django" if status > 0 else "django-killed", ending(status), output=shown)
    return output, shown


def masked(output, values):
    """A command's output without the values of its environment, which tracebacks and settings dumps may contain."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            output = output.replace(value, "***")
    return output


def read_env_file(path):
    """The variables of a file in the format of systemd's EnvironmentFile."""
    with open(path, "rb") as stream:
        return parse_environment(stream.read().decode("utf-8", "replace"), text(path))


OPERATIONS = {"django_admin": django_admin, "migration_plan": migration_plan}
