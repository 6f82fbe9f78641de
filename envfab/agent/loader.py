"""The loader, which a host runs as `PYTHON -c`: it reads the agent's sources and starts it.

It leaves the home folder, prints `ENVFAB-AGENT`, and reads a line with a size and as many bytes: a list of (module
name, source), marshalled and compressed by zlib; or of (module name, source, kind of interpreter, code), of which an
interpreter of that kind takes the code. `agent_sources.loader` has taken the home folder off the import path
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


def kind():
    # the module that has the magic number is always loaded: to import another one for it takes time
    magic = getattr(sys.modules.get("_frozen_importlib_external"), "MAGIC_NUMBER", None)
    return magic and "%s-%s" % (sys.implementation.cache_tag, magic.hex())


def load(data):
    found = []
    for entry in marshal.loads(zlib.decompress(data)):
        name, source = entry[:2]
        if len(entry) > 2 and entry[2] == kind():
            code = marshal.loads(entry[3])
        else:
            code = compile(source, "<envfab_agent/%s>" % name, "exec")
        module = type(sys)("envfab_agent." + str(name))
        module.__package__ = "envfab_agent"
        sys.modules[module.__name__] = module
        setattr(package, str(name), module)
        exec(code, module.__dict__)
        found.append(module)
    return found


stream = os.fdopen(os.dup(0), "rb")
modules = load(stream.read(int(stream.readline())))
package.protocol.serve(stream, load, modules)
