"""Commands of a Django project: `python -m django` in its virtualenv, with the project's environment."""

from __future__ import absolute_import

import os

from .environment_file import parse_environment
from .layout import GENERATIONS
from .protocol import Problem, native, text
from .subprocesses import base_environment, call, ending

# shorter values (`true`, `8000`) are not secrets, and masking them would make output unreadable
SHORTEST_SECRET = 6


def django_admin(agent, request, body):
    """Run `python -m django ARGUMENTS` with the project's settings, in the generation `number`.

    If `number` is None, in the virtualenv itself. Returns `{"output": …}`, what was printed, and if that has values of the
    environment, also `shown`, the same without them.
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
    arguments = [os.path.join(scripts, "python"), "-s", "-m", "django"] + request["arguments"]
    status, output = call(agent, arguments, environment, writes=True)
    shown = masked(output, given.values())
    if status:
        raise Problem("django" if status > 0 else "django-killed", ending(status), output=shown)
    return {"output": output} if shown == output else {"output": output, "shown": shown}


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


OPERATIONS = {"django_admin": django_admin}
