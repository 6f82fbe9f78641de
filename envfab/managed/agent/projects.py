"""What a Django project runs in its virtualenv: `python -m django`, with the project's own environment."""

from __future__ import absolute_import

import sys

from .kernel import Problem, native
from .processes import base_environment, call, ending

# shorter values (`true`, `8000`) are no secrets, and taking them out would make output unreadable
SHORTEST_SECRET = 6


def django_admin(agent, request, body):
    """Run `python -m django ARGUMENTS` under the project's settings: `{"output": …}`."""
    environment = base_environment(native(request["path"]))
    given = read_env_file(native(request["env_file"])) if request["env_file"] else {}
    given.update(request["env"])
    environment.update(given)
    environment["DJANGO_SETTINGS_MODULE"] = request["settings"]
    arguments = [sys.executable, "-s", "-m", "django"] + request["arguments"]
    status, output = call(agent, arguments, environment, writes=True)
    if status:
        raise Problem("django", ending(status), output=masked(output, given.values()))
    return {"output": output}


def masked(output, values):
    """What a command printed, without the values of its environment: tracebacks and settings dumps have them."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= SHORTEST_SECRET:
            output = output.replace(value, "***")
    return output


def read_env_file(path):
    """The variables of a file of `NAME=value` lines, as systemd's EnvironmentFile has them."""
    found = {}
    with open(path, "rb") as stream:
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        name, separator, value = line.partition("=")
        name = name[len("export ") :].strip() if name.startswith("export ") else name.strip()
        if not separator or not name.replace("_", "a").isalnum():
            # the line itself may hold a secret, so only its number is told
            raise Problem("environment", "%s:%d is no NAME=value line" % (path, number))
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found


OPERATIONS = {"django_admin": django_admin}
