"""Download of wheels from a package index (PEP 503, PEP 691), checked by the SHA-256 of the release log.

The environment is ignored: no proxy, no netrc, no certificates but the system's.
"""

from __future__ import absolute_import

import json
import re

from .wheel_cache import store
from .protocol import PY2, Problem
from .http import HTTPClient, shown, word

if PY2:
    from HTMLParser import HTMLParseError, HTMLParser
    from urllib import unquote
    from urlparse import urldefrag, urljoin, urlsplit
else:
    from html.parser import HTMLParser
    from urllib.parse import unquote, urldefrag, urljoin, urlsplit

    HTMLParseError = ValueError

JSON_TYPES = ("application/vnd.pypi.simple.v1+json", "application/json")
HTML_TYPES = ("application/vnd.pypi.simple.v1+html", "text/html")
ACCEPT = "%s, %s;q=0.2, %s;q=0.1" % (JSON_TYPES[0], HTML_TYPES[0], HTML_TYPES[1])
DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".egg")
SHA256 = re.compile("[0-9a-f]{64}$")
PAGE_LIMIT = 32 << 20  # bytes
# seconds for a page; a file has these in addition to its size by SLOWEST
AT_LEAST = 60.0
# bytes a second; slower downloads are given up
SLOWEST = 10000.0


def pull(agent, request, body):
    """Download one wheel from the index at `url`.

    The request has the project's canonical `name`, the wheel's `filename`, `sha256` and `size` in bytes; `connect` and
    `answer` are the seconds to wait for a connection and for each piece of a response.
    """
    filename, size = word(request["filename"]), request["size"]
    web = HTTPClient(word(request["url"]), request["connect"], request["answer"])
    try:
        url = look_up(web, word(request["name"]), filename, word(request["sha256"]))
        with web.get(url, "*/*", AT_LEAST + size / SLOWEST) as answer:
            store(agent, request, Arriving(answer, size))
    except Problem as problem:
        if problem.kind == "corrupt":
            problem = Problem("index-other", "the SHA-256 of %s is not that of the release log" % shown(url))
        if problem.kind.startswith("index-"):
            problem = Problem(problem.kind, "cannot download %s: %s" % (request["filename"], problem.message))
        raise problem
    return {}


class Arriving(object):
    """The body of a response, as `store` reads it: exactly `size` bytes."""

    def __init__(self, answer, size):
        self._answer = answer
        self._size = size

    def chunks(self):
        """The bytes, in pieces."""
        answer, seen = self._answer, 0
        if answer.length not in (None, self._size):
            told = (shown(answer.url), answer.length, self._size)
            raise Problem("index-other", "%s has %d bytes, but the wheel in the wheelhouse has %d" % told)
        for data in answer.pieces(self._size):
            seen += len(data)
            yield data
        if seen < self._size:
            raise Problem("index-silent", "%s ended after %d of %d bytes" % (shown(answer.url), seen, self._size))


def look_up(web, name, filename, sha256):
    """The URL of a wheel; raises `Problem` if the index lacks it, or has another file under its name."""
    with web.get(web.root + name + "/", ACCEPT, AT_LEAST) as answer:
        content = b"".join(answer.pieces(PAGE_LIMIT))
        files = parse(content.decode("utf-8", "replace"), answer.kind, answer.url)
        for found, url, told in files:
            if found == filename:
                if told not in (None, sha256):
                    raise Problem("index-other", "%s lists it with another SHA-256 than the log" % shown(answer.url))
                return url
        raise Problem("index-lacks", "%s does not list it" % shown(answer.url))


def parse(page, kind, base):
    """The files that a page lists: (file name, URL, SHA-256 or None)."""
    try:
        if kind in JSON_TYPES:
            return parse_json(page, base)
        if kind in HTML_TYPES:
            return parse_html(page, base)
    # RuntimeError: nested too deeply; AssertionError: some invalid HTML
    except (ValueError, KeyError, TypeError, AttributeError, HTMLParseError, RuntimeError, AssertionError):
        pass
    raise Problem("index-page", "%s is not a page of a package index" % shown(base))


def parse_json(page, base):
    """The files of a page by PEP 691."""
    document = json.loads(page)
    if str(document["meta"]["api-version"]).partition(".")[0] != "1":
        raise ValueError("an unknown version of the format")
    return [
        (
            word(one["filename"]),
            urldefrag(urljoin(base, word(one["url"])))[0],
            digest((one.get("hashes") or {}).get("sha256")),
        )
        for one in document["files"]
    ]


def parse_html(page, base):
    """The files of a page by PEP 503; raises ValueError for other HTML, such as errors and login forms."""
    anchors = Anchors()
    anchors.feed(page)
    anchors.close()
    files = []
    for link in anchors.links:
        url, fragment = urldefrag(urljoin(urljoin(base, anchors.base), link))
        algorithm, _, value = fragment.partition("=")
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        files.append((filename, url, digest(value) if algorithm == "sha256" else None))
    if not (anchors.declared or any(filename.endswith(DISTRIBUTIONS) for filename, _, _ in files)):
        raise ValueError("no link to a distribution")
    return files


def digest(said):
    """A SHA-256 in lower case, or None for any other text."""
    value = word(said).lower() if said else ""
    return value if SHA256.match(value) else None


class Anchors(HTMLParser):
    """Parser that collects the links of a page, its base, and whether it declares itself as a page of an index."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.links = []
        self.base = ""
        self.declared = False

    def handle_starttag(self, tag, attrs):
        """Handle an opening tag."""
        said = dict(attrs)
        href = word(said.get("href") or "")
        if tag == "a" and href:
            self.links.append(href)
        elif tag == "base" and not self.base:
            self.base = href
        elif tag == "meta" and said.get("name") == "pypi:repository-version":
            self.declared = True


OPERATIONS = {"pull": pull}
