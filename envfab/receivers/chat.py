"""Texts of others in messages for chats."""

from __future__ import annotations

import re

from envfab.util.untrusted import one_line


def for_chat(text: str) -> str:
    """A text that formats nothing and calls no one: as Slack escapes it, and without Mattermost's @channel and code."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
    return re.sub(r"@(?=(?:channel|here|all|everyone)\b)", "@\u200b", plain, flags=re.IGNORECASE)
