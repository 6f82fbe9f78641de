"""The protocol over standard input and output, and the loop that answers requests.

A request is a line of JSON, followed by as many raw bytes as its `bytes` says. The agent answers the requests in order,
each with a line of JSON: `{"ok": …}` or `{"problem": {"kind", "message"}}`. Any number of lines `{"alive": true}` may
come before it.
"""

from __future__ import absolute_import

import os
import sys
import time

from .json_codec import dumps, loads

PY2 = sys.version_info[0] == 2
if PY2:
    from thread import allocate_lock, start_new_thread
else:
    from _thread import allocate_lock, start_new_thread
CHUNK = 65536
# seconds between two signs of life while a request is handled
BEAT = 2.0
SURROGATES = () if PY2 else ("surrogateescape",)
# whether paths are the same text for this interpreter and for JSON; computed once, since it is used for thousands
SAME_TEXT = not PY2 and (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()) == ("utf-8", "surrogateescape")


class Problem(Exception):
    """Raised if a request cannot be fulfilled; `message` is for the user, `kind` for the managing machine."""

    def __init__(self, kind, message, **details):
        Exception.__init__(self, message)
        self.kind = kind
        self.message = message
        self.details = details


class Body(object):
    """The raw bytes after a request, which can be read once."""

    def __init__(self, stream, size):
        self._stream = stream
        self.left = size

    def chunks(self):
        """The bytes, in pieces; raises EOFError if the connection ends before them."""
        while self.left:
            data = self._stream.read(min(self.left, CHUNK))
            if not data:
                raise EOFError("the channel ended in the middle of a body")
            self.left -= len(data)
            yield data

    def read(self):
        """All bytes at once."""
        return b"".join(self.chunks())


class Agent(object):
    """The state that operations share: the virtualenv's path, and what they hold open."""

    def __init__(self, stream, out, load):
        self.stream = stream
        self.out = out
        self.load = load
        self.path = None
        self.lock = None
        self.store = None
        # what `compose` put into its generation: path → (hash, size, time)
        self.placed = {}
        # what the virtualenv had when `compose` began
        self.observed = None
        # SHA-256 of the wheels that were found to be signed; None if that was not asked
        self.released = None
        self.at_work = False
        self._writing = allocate_lock()
        self.operations = {"load": self._load}

    def _load(self, agent, request, body):
        self.adopt(self.load(body.read()))
        return {}

    def adopt(self, modules):
        """Add the operations of modules that were sent."""
        for module in modules:
            self.operations.update(getattr(module, "OPERATIONS", {}))

    def send(self, frame):
        """Send a frame to the managing machine; false if the connection ended."""
        data = dumps(frame).encode("utf-8") + b"\n"
        with self._writing:
            try:
                while data:
                    data = data[os.write(self.out, data) :]
            except OSError:
                return False
        return True

    def beat(self):
        """Send signs of life while a request is handled, however long a child takes."""
        while True:
            time.sleep(BEAT)
            if self.at_work and not self.send({"alive": True}):
                return

    def serve(self):
        """Answer requests until the connection ends."""
        while True:
            line = self.stream.readline()
            if not line.endswith(b"\n"):
                return
            request = loads(line.decode("utf-8"))
            body = Body(self.stream, request.get("bytes", 0))
            self.at_work = True
            try:
                reply = {"ok": self.operations[request["op"]](self, request, body)}
            except Problem as problem:
                reply = {"problem": dict(problem.details, kind=problem.kind, message=problem.message)}
            except EOFError:
                return
            except EnvironmentError as error:
                reply = {"problem": {"kind": "os", "errno": error.errno, "message": describe(error)}}
            except Exception:  # the managing machine shows one line of it, and logs the traceback
                import traceback

                reply = {"problem": {"kind": "crash", "message": traceback.format_exc()}}
            try:
                for _ in body.chunks():
                    pass
            except EOFError:
                return
            self.at_work = False
            if not self.send(reply):
                return


def serve(stream, load, modules):
    """Start to serve; the loader calls this with the first modules."""
    agent = Agent(stream, detach(stream), load)
    agent.adopt(modules)
    start_new_thread(agent.beat, ())
    agent.serve()
    # everything is written, and the kernel frees the lock: the interpreter's own clean-up would only take time
    os._exit(0)


def describe(error):
    """An OSError in one line, with its file."""
    name = getattr(error, "filename", None)
    if isinstance(name, int) or not name:
        return "%s" % (error.strerror or error)
    return "%s: %s" % (error.strerror or error, text(name))


def native(text):
    """A path or word as this interpreter's `str`, with UTF-8 bytes whatever the locale."""
    if SAME_TEXT and isinstance(text, str):
        return text
    data = text.encode("utf-8", *SURROGATES) if not isinstance(text, bytes) else text
    return data if PY2 else os.fsdecode(data)


def text(value):
    """A path or word as text that JSON can carry and any terminal can print."""
    if SAME_TEXT and isinstance(value, str):
        try:
            value.encode("utf-8")
            return value
        except UnicodeEncodeError:
            pass
    data = value if isinstance(value, bytes) else value.encode("utf-8") if PY2 else os.fsencode(value)
    return data.decode("utf-8", "replace")


def key_of(path):
    """Return a path as inventories have it, whatever the locale; `native` turns it back."""
    if SAME_TEXT:
        return path
    return text(path) if PY2 else os.fsencode(path).decode("utf-8", "surrogateescape")


def detach(stream):
    """Keep the connection away from children and libraries, and return the descriptor for replies.

    Descriptors 0, 1 and 2 become /dev/null, so that neither a child nor a library can read or write a frame; `stream`
    and the returned descriptor are closed in children, on 2.7 as well.
    """
    import fcntl

    out = fcntl.fcntl(1, fcntl.F_DUPFD, 10)
    for descriptor in (out, stream.fileno()):
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.fcntl(descriptor, fcntl.F_GETFD) | fcntl.FD_CLOEXEC)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    if null > 2:
        os.close(null)
    return out
