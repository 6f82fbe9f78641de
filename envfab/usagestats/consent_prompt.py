"""What a user who has not chosen yet is shown."""

from __future__ import annotations

_PROMPT = """
Uploading usage statistics is currently DISABLED
Please help us by providing anonymous usage statistics; you can enable this
by running:
    {enable}
If you do not want to see this message again, you can run:
    {disable}
Nothing will be uploaded before you opt in.
"""

# What stands before the prompt for a user who opted in before.
CHANGED = "\nWhat is collected has changed since you agreed to it, so nothing is uploaded now.\n"


class Prompt:
    """A text, or the usual text around the commands that `enable` and `disable` reporting."""

    def __init__(self, prompt: str | None = None, enable: str | None = None, disable: str | None = None) -> None:
        if prompt is not None and enable is None and disable is None:
            self.prompt = prompt
        elif prompt is None and enable is not None and disable is not None:
            self.prompt = _PROMPT.format(enable=enable, disable=disable)
        else:
            raise TypeError("give Prompt either a text, or both enable= and disable=")
