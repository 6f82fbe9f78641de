"""Files of `NAME=value` lines, read as systemd reads an `EnvironmentFile` (systemd.exec(5)).

Quotes may span lines and may be joined (`'a'"b"`); within double quotes a backslash escapes `"`, `\\`, `` ` `` and `$`;
outside of quotes it escapes any character, and at the end of a line it joins the next one. A line without `=` and an
invalid name, which systemd ignores silently, are errors here. `export NAME=value` is accepted, too.
"""

from __future__ import absolute_import

from .protocol import Problem

COMMENTS = u"#;"
BLANK = u" \t"
ENDS = u"\n\r"
ESCAPED_IN_QUOTES = u"\"\\`$"
EXPORT = u"export "


def parse_environment(content, path):
    """The variables in a file's text, by name; raises `Problem` with the file's `path` and the line's number."""
    return _Parser(content, path).variables()


class _Parser(object):
    """A parser that reads the text once, character by character."""

    def __init__(self, content, path):
        self._text = content
        self._path = path
        self._at = 0

    def variables(self):
        found = {}
        while self._at < len(self._text):
            first = self._text[self._at]
            if first in BLANK + ENDS:
                self._at += 1
            elif first in COMMENTS:
                self._through(ENDS)
            else:
                name, value = self._name(), self._value()
                found[name] = value
        return found

    def _name(self):
        begin = self._at
        self._through(ENDS + u"=")
        name = self._text[begin : self._at].strip()
        if name.startswith(EXPORT):
            name = name[len(EXPORT) :].strip()
        plain = all(letter == u"_" or (letter.isalnum() and letter < u"\x7f") for letter in name)
        if self._peek() != u"=" or not name or not plain or name[0].isdigit():
            # only the number, since the line itself may contain a secret
            number = self._text[:begin].replace(u"\r\n", u"\n").replace(u"\r", u"\n").count(u"\n") + 1
            raise Problem("environment", "%s:%d: must be NAME=value" % (self._path, number))
        self._at += 1
        return name

    def _value(self):
        # white space at the end of the value is removed, but not before `kept`: it was quoted or escaped
        value, kept, before_text = u"", 0, True
        while self._peek() and self._peek() not in ENDS:
            letter = self._take()
            if before_text and letter in u"'\"":
                value += self._single_quoted() if letter == u"'" else self._double_quoted()
                kept = len(value)
            elif letter == u"\\":
                before_text = False
                following = self._take()
                value += following if following not in ENDS else u""
                kept = len(value)
            elif letter not in BLANK or not before_text:
                before_text = False
                value += letter
        return value[:kept] + value[kept:].rstrip(BLANK)

    def _single_quoted(self):
        begin = self._at
        self._through(u"'")
        self._at += 1
        return self._text[begin : self._at - 1]

    def _double_quoted(self):
        value = u""
        while self._peek() and self._peek() != u'"':
            letter = self._take()
            if letter == u"\\":
                following = self._take()
                letter = following if following in ESCAPED_IN_QUOTES else u"" if following == u"\n" else u"\\" + following
            value += letter
        self._at += 1
        return value

    def _through(self, ends):
        """Advance to the next of these characters, or to the end."""
        while self._peek() and self._peek() not in ends:
            self._at += 1

    def _peek(self):
        return self._text[self._at : self._at + 1]

    def _take(self):
        self._at += 1
        return self._text[self._at - 1 : self._at]
