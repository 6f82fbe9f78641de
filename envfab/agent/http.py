"""An HTTP client for hosts: HTTP and HTTPS only, no proxy, few redirects, limited in bytes and time."""

from __future__ import absolute_import

import base64
import contextlib
import os
import re
import socket
import threading

from .protocol import PY2, Problem

try:
    import ssl

    TLS_ERRORS = (ssl.SSLError, ssl.CertificateError)
except ImportError:
    ssl = None
    TLS_ERRORS = ()

if PY2:
    from httplib import HTTPConnection, HTTPException, IncompleteRead
    from urllib import quote, unquote
    from urlparse import urljoin, urlsplit
else:
    from http.client import HTTPConnection, HTTPException, IncompleteRead
    from urllib.parse import quote, unquote, urljoin, urlsplit

# otherwise 2.7 takes any text for a response in HTTP 0.9
STRICT = {"strict": True} if PY2 else {}
PORTS = {"http": 80, "https": 443}
REDIRECTS = 5
CHUNK = 65536
# characters of a URL that are not escaped
SAFE = "/%:@!$&'()*+,;=~-._?"
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]+")
# where systems keep their trusted certificate authorities, for a Python whose OpenSSL looks elsewhere
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class HTTPClient(object):
    """A client of the server at `root`, which may contain a user and a password, and of servers that it redirects to.

    `connect` and `answer` are the seconds to wait for a connection and for each piece of a response.
    """

    def __init__(self, root, connect, answer):
        self.root = root if root.endswith("/") else root + "/"
        self._connect = connect
        self._answer = answer
        parts = urlsplit(self.root)
        self._origin = origin(parts)
        self._credentials = None
        if parts.username is not None:
            pair = "%s:%s" % (unquote(parts.username), unquote(parts.password or ""))
            data = pair if PY2 else pair.encode("utf-8")
            self._credentials = "Basic " + base64.b64encode(data).decode("ascii")

    @contextlib.contextmanager
    def get(self, url, accept, seconds):
        """Request a URL and yield its `HTTPResponse`; raises `Problem`. It is closed after `seconds` at the latest."""
        for _ in range(REDIRECTS + 1):
            with self._asked(url, accept, seconds) as answer:
                if answer.status == 200:
                    yield answer
                    return
                url = answer.elsewhere()
        raise Problem("index-silent", "%s redirects more than %d times" % (shown(self.root), REDIRECTS))

    @contextlib.contextmanager
    def _asked(self, url, accept, seconds):
        parts = self._parts(url)
        port = parts.port or PORTS[parts.scheme]
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "envfab", "Connection": "close"}
        # the password is only sent to the server that it was given for, not to those that it redirects to
        if self._credentials is not None and origin(parts) == self._origin:
            headers["Authorization"] = self._credentials
        line = quote((parts.path or "/") + ("?" + parts.query if parts.query else ""), SAFE)
        headers["Host"] = parts.netloc.rpartition("@")[2]
        with translated(url, self._connect):
            sock = socket.create_connection((parts.hostname, port), self._connect)
        deadline = Deadline(sock, seconds)
        try:
            with translated(url, self._answer, deadline):
                sock.settimeout(self._answer)
                if parts.scheme == "https":
                    sock = secured(sock, parts.hostname)
                connection = HTTPConnection(parts.hostname, port, **STRICT)
                connection.sock = sock
                connection.request("GET", line, headers=headers)
                response = connection.getresponse()
            with contextlib.closing(response):
                yield HTTPResponse(url, response, self._answer, deadline)
        finally:
            deadline.close()
            sock.close()

    def _parts(self, url):
        """The parts of a URL; raises `Problem` if it must not be followed."""
        try:
            parts = urlsplit(url)
            followed = parts.scheme in PORTS and parts.hostname and origin(parts)
        except ValueError:
            followed = None
        if not followed:
            raise Problem("index-page", "it leads to %s, but only http and https are followed" % shown(url))
        if self._origin[0] == "https" and parts.scheme != "https":
            raise Problem("index-page", "it leads from HTTPS to %s, which is not secure" % shown(url))
        return parts


class HTTPResponse(object):
    """A response: its status, its media type, its length if known, and its bytes, which can be read once."""

    def __init__(self, url, response, patience, deadline):
        self.url = url
        self.status = response.status
        self.kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        self.length = response.length
        self._response = response
        self._patience = patience
        self._deadline = deadline

    def elsewhere(self):
        """The URL that it redirects to; raises `Problem` for any other status."""
        target = self._response.getheader("Location")
        if self.status in (301, 302, 303, 307, 308) and target:
            with translated(self.url, self._patience):
                return urljoin(self.url, target)
        if self.status in (404, 410):
            raise Problem("index-lacks", "%s does not exist" % shown(self.url))
        if self.status in (401, 403, 407):
            raise Problem("index-login", "%s denies access (HTTP %d)" % (shown(self.url), self.status))
        raise Problem("index-silent", "%s answers HTTP %d" % (shown(self.url), self.status))

    def pieces(self, limit):
        """The bytes, in pieces; raises `Problem` if there are more than `limit`, or fewer than announced."""
        seen = 0
        while True:
            with translated(self.url, self._patience, self._deadline):
                data = self._response.read(CHUNK)
            if not data:
                break
            seen += len(data)
            if seen > limit:
                raise Problem("index-other", "%s sends more than %d bytes" % (shown(self.url), limit))
            yield data
        if self._deadline.over:
            raise self._deadline.problem(self.url)
        if self.length is not None and seen < self.length:
            raise Problem("index-silent", "%s ended after %d of %d bytes" % (shown(self.url), seen, self.length))


class Deadline(object):
    """A deadline that shuts down a connection: a limit for each piece does not limit the whole response."""

    def __init__(self, sock, seconds):
        self.over = False
        self._seconds = seconds
        # a descriptor of its own, which is closed only here
        self._twin = socket.fromfd(sock.fileno(), sock.family, socket.SOCK_STREAM)
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self):
        self.over = True
        try:
            self._twin.shutdown(socket.SHUT_RDWR)
        except EnvironmentError:
            # the connection has ended meanwhile
            pass

    def problem(self, url):
        """The problem if the time is over."""
        return Problem("index-silent", "%s was not complete within %g s" % (shown(url), self._seconds))

    def close(self):
        """Cancel the deadline."""
        self._timer.cancel()
        self._timer.join()
        self._twin.close()


@contextlib.contextmanager
def translated(url, seconds, deadline=None):
    """Turn errors of the network into a `Problem`."""
    try:
        yield
    except (EnvironmentError, HTTPException, ValueError) as error:
        if deadline is not None and deadline.over:
            raise deadline.problem(url)
        raise Problem("index-silent", "%s %s" % (shown(url), wrong(error, seconds)))


def wrong(error, seconds):
    """What went wrong, as the end of a sentence that begins with the URL."""
    said = readable(str(error))
    if isinstance(error, socket.timeout) or "timed out" in said:
        return "gives no answer within %g s" % seconds
    if isinstance(error, socket.gaierror):
        return "cannot be reached: the host does not know its name"
    if TLS_ERRORS and isinstance(error, TLS_ERRORS):
        # [SSL: WHAT] why (_ssl.c:1000)
        why = (said.partition("] ")[2] or said).partition(" (_ssl")[0]
        return "is not trusted: %s" % why if "certificate" in said.lower() else "does not speak TLS: %s" % why
    if isinstance(error, EnvironmentError):
        return "cannot be reached: %s" % readable(error.strerror or said)
    if isinstance(error, IncompleteRead):
        return "ended in the middle of its response"
    return "does not respond in HTTP: %s" % (said or type(error).__name__)


def secured(sock, hostname):
    """The socket under TLS; the server's certificate is verified with the system's trusted authorities."""
    if ssl is None or not hasattr(ssl, "create_default_context"):
        raise ValueError("this Python cannot verify certificates")
    return ssl.create_default_context(**authorities()).wrap_socket(sock, server_hostname=hostname)


def authorities():
    """The locations of the system's trusted authorities; variables like SSL_CERT_FILE are ignored."""
    usual = ssl.get_default_verify_paths()
    found = {}
    if os.path.isfile(usual.openssl_cafile):
        found["cafile"] = usual.openssl_cafile
    if os.path.isdir(usual.openssl_capath) and os.listdir(usual.openssl_capath):
        found["capath"] = usual.openssl_capath
    if not found:
        bundle = next((place for place in BUNDLES if os.path.isfile(place)), None)
        if bundle is None:
            raise ValueError("this system has no list of trusted authorities")
        found["cafile"] = bundle
    return found


def origin(parts):
    """The origin of a URL: scheme, host, port."""
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def shown(url):
    """A URL for messages: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid address"
    return readable("%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], parts.path))


def word(value):
    """Text as `str`, which URLs are handled as; on 2.7 in UTF-8."""
    return value.encode("utf-8") if PY2 and not isinstance(value, bytes) else value


def readable(value):
    """A short line of text from outside, without control characters."""
    line = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return UNPRINTABLE.sub(" ", line)[:300]
