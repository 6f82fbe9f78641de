"""JSON, without what `import json` brings along: `re`, `enum` and more take longer to load than all else that an
agent begins with. Its own C halves do the work; where an interpreter has no such ones, the module itself does.
"""

from __future__ import absolute_import


# Python takes quadratic time for many digits
MOST_DIGITS = 100


def whole(digits):
    """A whole number."""
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number of %d digits" % len(digits))
    return int(digits)


def loads_by_module(text):
    """The value that a text is, by the module."""
    import json

    return json.loads(text, parse_int=whole)


def _of_the_interpreter():
    """(loads, dumps) of text, in the terms of `json`: the same texts, the same values, `ValueError` for what is none."""
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class Context(object):
        """What `json.JSONDecoder` would tell the scanner."""

        strict, encoding = True, "utf-8"
        object_hook = object_pairs_hook = None
        parse_int, parse_float, parse_constant = staticmethod(whole), float, float
        memo = {}

    def refuse(value):
        raise TypeError("%r cannot be written as JSON" % (value,))

    scan = make_scanner(Context)
    encode = make_encoder(None, refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)

    def loads(text):
        """The value that a text is."""
        begin = len(text) - len(text.lstrip())
        try:
            value, end = scan(text, begin)
            if not text[end:].strip():
                return value
        except (StopIteration, ValueError, SystemError):
            # Python to 3.11 cannot even say what is wrong before the module is loaded
            pass
        return loads_by_module(text)

    def dumps(value):
        """The text of a value."""
        return "".join(encode(value, 0))

    if loads(dumps({"a": [1, None]})) != {"a": [1, None]}:
        raise ValueError("these halves do something else")
    return loads, dumps


try:
    loads, dumps = _of_the_interpreter()
except (ImportError, TypeError, ValueError, AttributeError):
    from json import dumps  # noqa: F401

    loads = loads_by_module
