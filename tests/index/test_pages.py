"""Pages of package indexes: what is written can be read, and what others write too."""

from __future__ import annotations

import json
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from envfab.errors import SupplyError
from envfab.index.pages import File, ProjectPage, parse_html, parse_json, project_html, project_json, relative_url

BASE = "http://127.0.0.1:1/simple/shop/"
NAME = canonicalize_name("shop")
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
TEXT = st.text(string.ascii_letters + string.digits + " <>&\"'=.,!#é", min_size=1, max_size=20).map(str.strip)


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file as an index of ours offers it."""
    version = draw(st.sampled_from(["1.0", "10.2", "3.0+local"]))
    filename = f"shop-{version}-py3-none-any.whl"
    return File(
        filename,
        BASE + relative_url(filename),
        draw(DIGEST),
        draw(st.none() | st.sampled_from([">=3.8", "<4,>=3.8", "!=3.9.*"])),
        draw(st.none() | TEXT),
        draw(st.none() | DIGEST),
    )


@given(st.lists(files(), max_size=3))
def test_pages_round_trip(listed: list[File]) -> None:
    """What is written is read again the same, from JSON and from HTML."""
    assert parse_json(project_json(NAME, [], listed), BASE).files == tuple(listed)
    assert parse_html(project_html(NAME, listed), BASE).files == tuple(listed)


def test_reads_html_as_others_write_it() -> None:
    """No declared version, a base, percent signs, an old name of the metadata attribute, a yank without a reason."""
    text = f"""<html><head><base href="../../files/"></head><body>
      <a href="shop-1.0%2Blocal-py3-none-any.whl#sha256={"a" * 64}" data-dist-info-metadata="true"
         data-requires-python="&gt;=3.8" data-yanked>shop</a><A HREF='shop-1.0.tar.gz#md5=abc'>sdist</A></body></html>"""
    wheel, sdist = parse_html(text, BASE).files
    assert wheel == File(
        "shop-1.0+local-py3-none-any.whl",
        "http://127.0.0.1:1/files/shop-1.0%2Blocal-py3-none-any.whl",
        "a" * 64,
        ">=3.8",
        "",
        "",
    )
    assert sdist == File("shop-1.0.tar.gz", "http://127.0.0.1:1/files/shop-1.0.tar.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "is not a page of a package index: Expecting value"),
        ("[]", "is not a page of a package index"),
        ("{}", "is not a page of a package index: 'meta' is missing"),
        ('{"meta": {"api-version": "2.0"}, "files": []}', "version 2.0 of the index format; this envfab reads 1.x"),
        ('{"meta": {"api-version": "1.0"}, "files": [{"filename": "../x.whl", "url": "x"}]}', "named '../x.whl'"),
        ("[" * 200_000, "is not a page of a package index: it is nested too deeply"),
    ],
)
def test_refuses_json_that_is_no_page(text: str, message: str) -> None:
    """Other JSON, a format to come, and names that are paths are errors that name the address."""
    with pytest.raises(SupplyError) as caught:
        parse_json(text, BASE)
    assert message in str(caught.value)
    assert str(caught.value).startswith(BASE)


def test_fields_that_are_no_texts_say_nothing() -> None:
    """A number where PEP 691 wants a text, or a list: the file is there all the same."""
    file = {"filename": "shop-1.0.tar.gz", "url": "x", "requires-python": 3.8, "upload-time": 123, "size": "big"}
    page = json.dumps({"meta": {"api-version": "1.0"}, "files": [{**file, "yanked": 0}]})
    assert parse_json(page, BASE).files == (File("shop-1.0.tar.gz", BASE + "x", yanked=""),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<a href="http://[x/shop-1.0.tar.gz">shop</a>', "is not a page of a package index: Invalid IPv6 URL"),
        ('<![foo bar]><a href="shop-1.0.tar.gz">shop</a>', "is not a page of a package index: "),
        (
            '<a href="shop-1.0-1%2F..%2F..%2Fevil-py3-none-any.whl">shop</a>',
            "offers a file named 'shop-1.0-1/../../evil",
        ),
        ('<a href="..%5Cevil.whl">shop</a>', "offers a file named '..\\\\evil.whl'"),
    ],
)
def test_refuses_html_that_cannot_be_meant(text: str, message: str) -> None:
    """Addresses that are none, declarations that nobody understands, and names that are paths."""
    with pytest.raises(SupplyError) as caught:
        parse_html(text, BASE)
    assert message in str(caught.value)
    assert str(caught.value).startswith(BASE)


@given(st.text() | st.text("<>/a=[]!-\"'hrefdoctype :").map(lambda text: f'<a href="x-1.0.tar.gz">x</a>{text}'))
def test_any_text_is_a_page_or_an_error(text: str) -> None:
    """Whatever a server sends as HTML or JSON, nothing but `SupplyError` comes out."""
    for parse in (parse_html, parse_json):
        with suppress(SupplyError):
            parse(text, BASE)


def test_refuses_html_that_is_no_page() -> None:
    """A login page with status 200 is not an empty index."""
    with pytest.raises(SupplyError, match="it links to no distribution"):
        parse_html('<html><a href="/login">Log in</a></html>', BASE)


def page_with(status: object, file: dict[str, object] | None = None) -> ProjectPage:
    """A PEP 691 page with a status, and a file of which it tells more."""
    told = {"filename": "shop-1.0.tar.gz", "url": "x", **(file or {})}
    return parse_json(json.dumps({"meta": {"api-version": "1.4"}, "project-status": status, "files": [told]}), BASE)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, ""),
        ({"status": "active"}, ""),
        ({"status": "archived"}, "is archived"),
        ({"status": "deprecated", "reason": "use\nshop2\x1b[31m"}, "is deprecated: use shop2 [31m"),
        ({"status": "frozen", "reason": 3}, "has a status that this envfab does not know: frozen"),
        ("archived", "is archived"),
        (["archived"], "has a status that this envfab does not know: ['archived']"),
        ({"status": 7}, "has a status that this envfab does not know: 7"),
    ],
)
def test_reads_the_status_of_a_project(status: object, told: str) -> None:
    """PEP 792's markers in words, with the reason in one line; what else an index says is shown as not known."""
    assert page_with(status).status.told == told


def test_reads_the_status_in_html() -> None:
    """The two meta elements of PEP 792; a quarantined project has no links, and its page is one all the same."""
    page = parse_html(
        """<html><head><meta name="pypi:repository-version" content="1.4"><meta name="pypi:project-status"
        content="quarantined"><meta name="pypi:project-status-reason" content="malware"></head></html>""",
        BASE,
    )
    assert (page.files, page.status.quarantined, page.status.told) == ((), True, "is quarantined: malware")


def test_a_long_reason_is_shortened() -> None:
    """Ten megabytes are shown as one short line."""
    assert len(page_with({"status": "archived", "reason": "x" * (10 << 20)}).status.told) < 250


def test_reads_where_the_provenance_is() -> None:
    """PEP 740's key and attribute, relative to the page; what is not a text is not an address."""
    assert page_with(None, {"provenance": "/integrity/x"}).files[0].provenance == "http://127.0.0.1:1/integrity/x"
    assert page_with(None, {"provenance": 3}).files[0].provenance is None
    html = '<a href="shop-1.0.tar.gz" data-provenance="https://example.org/p">x</a>'
    assert parse_html(html, BASE).files[0].provenance == "https://example.org/p"
