"""Fetching wheels from a package index (PEP 503 or 691) into the cache, each with the SHA-256 that the log has.

Nothing of the surroundings is heeded: no proxy, no netrc, no certificates but the system's.
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
PAGE_LIMIT = 32 << 20
# seconds for a page, and for the start of a file
AT_LEAST = 60.0
# bytes a second: what comes slower is given up
SLOWEST = 10000.0


def pull(agent, request, body):
    """Take one wheel into the cache from the index at `url`.

    The wheel is told by its project's canonical `name`, `filename`, `sha256` and `size`; `connect` and `answer` are the
    seconds to wait for a connection and for each piece of an answer.
    """
    filename, size = word(request["filename"]), request["size"]
    web = HTTPClient(word(request["url"]), request["connect"], request["answer"])
    try:
        url = look_up(web, word(request["name"]), filename, word(request["sha256"]))
        with web.get(url, "*/*", AT_LEAST + size / SLOWEST) as answer:
            store(agent, request, Arriving(answer, size))
    except Problem as problem:
        if problem.kind == "corrupt":
            problem = Problem("index-other", "%s has another SHA-256 than the release log says" % shown(url))
        if problem.kind.startswith("index-"):
            problem = Problem(problem.kind, "%s cannot be fetched: %s" % (request["filename"], problem.message))
        raise problem
    return {}


class Arriving(object):
    """The body of an answer, as `store` reads it: exactly `size` bytes."""

    def __init__(self, answer, size):
        self._answer = answer
        self._size = size

    def chunks(self):
        """The bytes, in pieces."""
        answer, seen = self._answer, 0
        if answer.length not in (None, self._size):
            told = (shown(answer.url), answer.length, self._size)
            raise Problem("index-other", "%s has %d bytes, and the wheel of the wheelhouse %d" % told)
        for data in answer.pieces(self._size):
            seen += len(data)
            yield data
        if seen < self._size:
            raise Problem("index-silent", "%s ended after %d of %d bytes" % (shown(answer.url), seen, self._size))


def look_up(web, name, filename, sha256):
    """The address of a wheel; raises `Problem` where the index does not have it, or has another under its name."""
    with web.get(web.root + name + "/", ACCEPT, AT_LEAST) as answer:
        content = b"".join(answer.pieces(PAGE_LIMIT))
        files = parse(content.decode("utf-8", "replace"), answer.kind, answer.url)
        for found, url, told in files:
            if found == filename:
                if told not in (None, sha256):
                    raise Problem("index-other", "%s lists it with another SHA-256 than the log's" % shown(answer.url))
                return url
        raise Problem("index-lacks", "%s does not list it" % shown(answer.url))


def parse(page, kind, base):
    """The files that a page tells of: (file name, address, SHA-256 or None)."""
    try:
        if kind in JSON_TYPES:
            return parse_json(page, base)
        if kind in HTML_TYPES:
            return parse_html(page, base)
    # nested too deeply; and what Python's parser takes for its own fault
    except (ValueError, KeyError, TypeError, AttributeError, HTMLParseError, RuntimeError, AssertionError):
        pass
    raise Problem("index-page", "%s is no page of a package index" % shown(base))


def parse_json(page, base):
    """A page as PEP 691 has it."""
    document = json.loads(page)
    if str(document["meta"]["api-version"]).partition(".")[0] != "1":
        raise ValueError("a version of the format that nobody knows yet")
    return [
        (
            word(one["filename"]),
            urldefrag(urljoin(base, word(one["url"])))[0],
            digest((one.get("hashes") or {}).get("sha256")),
        )
        for one in document["files"]
    ]


def parse_html(page, base):
    """A page as PEP 503 has it; raises ValueError for one that cannot be one: errors and logins come as HTML, too."""
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
    """A SHA-256 as it is compared, or None for what is none."""
    value = word(said).lower() if said else ""
    return value if SHA256.match(value) else None


class Anchors(HTMLParser):
    """Collects the links of a page, its base, and whether it says that it is an index's."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.links = []
        self.base = ""
        self.declared = False

    def handle_starttag(self, tag, attrs):
        """Called for every opening tag."""
        said = dict(attrs)
        href = word(said.get("href") or "")
        if tag == "a" and href:
            self.links.append(href)
        elif tag == "base" and not self.base:
            self.base = href
        elif tag == "meta" and said.get("name") == "pypi:repository-version":
            self.declared = True


OPERATIONS = {"pull": pull}
