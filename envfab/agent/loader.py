"""The loader, which a host runs as `PYTHON -c`: it reads the agent's sources and starts it.

It leaves the home folder, prints `ENVFAB-AGENT`, and reads a line with a size and as many bytes: a list of (module
name, source), marshalled and compressed by zlib. `agent_sources.loader` has taken the home folder off the import path
before.
"""
import os
import sys

os.chdir("/")
if sys.version_info < (2, 7) or (3, 0) <= sys.version_info < (3, 6):
    os.write(1, ("\nENVFAB-OLD %d.%d\n" % sys.version_info[:2]).encode("ascii"))
    sys.exit(1)

import marshal
import zlib

os.write(1, b"\nENVFAB-AGENT\n")
package = type(sys)("envfab_agent")
package.__path__ = []
sys.modules["envfab_agent"] = package


def load(data):
    found = []
    for name, source in marshal.loads(zlib.decompress(data)):
        module = type(sys)("envfab_agent." + str(name))
        module.__package__ = "envfab_agent"
        sys.modules[module.__name__] = module
        setattr(package, str(name), module)
        exec(compile(source, "<envfab_agent/%s>" % name, "exec"), module.__dict__)
        found.append(module)
    return found


stream = os.fdopen(os.dup(0), "rb")
modules = load(stream.read(int(stream.readline())))
package.protocol.serve(stream, load, modules)
