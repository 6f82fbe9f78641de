"""JSON without `import json`, whose imports (`re`, `enum`) take longer than everything else that an agent starts with.

The C functions behind the module `json` do the work; on interpreters without them, the module does.
"""

from __future__ import absolute_import


# Python takes quadratic time to read a number
MOST_DIGITS = 100


def whole(digits):
    """An integer; raises ValueError if it has too many digits."""
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number of %d digits" % len(digits))
    return int(digits)


def loads_by_module(text):
    """Decode a text by the module `json`."""
    import json

    return json.loads(text, parse_int=whole)


def _of_the_interpreter():
    """(loads, dumps) with the results and the ValueErrors of the module `json`."""
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class Context(object):
        """The attributes of a `json.JSONDecoder` that the scanner reads."""

        strict, encoding = True, "utf-8"
        object_hook = object_pairs_hook = None
        parse_int, parse_float, parse_constant = staticmethod(whole), float, float
        memo = {}

    def refuse(value):
        raise TypeError("%r cannot be written as JSON" % (value,))

    scan = make_scanner(Context)
    encode = make_encoder(None, refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)

    def loads(text):
        """Decode a text."""
        begin = len(text) - len(text.lstrip())
        try:
            value, end = scan(text, begin)
            if not text[end:].strip():
                return value
        except (StopIteration, ValueError, SystemError):
            # up to Python 3.11, the scanner can raise the right error only if the module is loaded
            pass
        return loads_by_module(text)

    def dumps(value):
        """Encode a value."""
        return "".join(encode(value, 0))

    if loads(dumps({"a": [1, None]})) != {"a": [1, None]}:
        raise ValueError("these functions do something else")
    return loads, dumps


try:
    loads, dumps = _of_the_interpreter()
except (ImportError, TypeError, ValueError, AttributeError):
    from json import dumps  # noqa: F401

    loads = loads_by_module
