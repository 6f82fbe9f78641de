"""`fab publish_index`, by the real program."""

from __future__ import annotations

import json

from tests.support.workplace import Workplace


def test_an_index_is_no_file(workplace: Workplace) -> None:
    """A file where the folder is to be is named as such, and stays as it is."""
    done = workplace.fab("publish_index:fabfile.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "envfab: fabfile.py: must be a folder, not a file\n  name a folder that holds nothing else\n"


def test_publishes_and_tells_how_much(workplace: Workplace) -> None:
    """The folder is relative to where fab is called; yanked releases say so in it."""
    workplace.add_made("shop", "1.0")
    workplace.fab("yank_wheel", "shop==1.0", "--reason", "loses data")
    done = workplace.fab("publish_index:www/simple")
    assert done.stdout == "1 wheel of 1 project in www/simple: 6 files written, 0 removed\n", done.stderr
    page = json.loads((workplace.folder / "www" / "simple" / "shop" / "index.v1_json").read_text())
    assert page["files"][0]["yanked"] == "loses data"
    assert workplace.json("publish_index:www/simple")["written"] == 0
    assert "publish_index needs a folder" in workplace.fab("publish_index").stderr
