"""What a Django project runs in its virtualenv: `python -m django`, with the project's own environment."""

from __future__ import absolute_import

import sys

from .kernel import Problem, native
from .processes import base_environment, call, ending


def django_admin(agent, request, body):
    """Run `python -m django ARGUMENTS` under the project's settings: `{"output": …}`."""
    environment = base_environment(native(request["path"]))
    if request["env_file"]:
        environment.update(read_env_file(native(request["env_file"])))
    environment.update(request["env"])
    environment["DJANGO_SETTINGS_MODULE"] = request["settings"]
    arguments = [sys.executable, "-s", "-m", "django"] + request["arguments"]
    status, output = call(agent, arguments, environment, writes=True)
    if status:
        raise Problem("django", ending(status), output=output)
    return {"output": output}


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
