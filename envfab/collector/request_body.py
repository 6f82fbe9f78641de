"""The body of a request: bounded, and of the length that the client declares."""

from __future__ import annotations

from flask import Request
from werkzeug.exceptions import BadRequest, LengthRequired, RequestEntityTooLarge, UnsupportedMediaType


def read_body(request: Request, limit: int, kinds: tuple[str, ...]) -> bytes:
    """The body of at most `limit` bytes; other sizes and other kinds of content than `kinds` are refused.

    A kind is a media type or the beginning of one (`text/`). No Content-Type at all is fine: the oldest clients of
    both protocols send none.
    """
    if request.mimetype and not request.mimetype.startswith(kinds):
        raise UnsupportedMediaType("this kind of content is not taken here")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("compressed content is not taken here")
    declared = _declared_length(request)
    if declared > limit:
        raise RequestEntityTooLarge(f"more than {limit} bytes")
    # Not `get_data()`: that would parse a form, or keep the body for a later parse.
    data = request.stream.read(limit + 1)
    if len(data) != declared:
        raise BadRequest("the request is shorter than it says")
    return data


def _declared_length(request: Request) -> int:
    """What the client says, read strictly: the framework takes a negative length for an empty body."""
    text = request.environ.get("CONTENT_LENGTH", "")
    if request.headers.get("Transfer-Encoding") or not text:
        raise LengthRequired("the request must say its length (Content-Length)")
    if not text.isascii() or not text.isdecimal():
        raise BadRequest("the Content-Length is not a number of bytes")
    return int(text)
