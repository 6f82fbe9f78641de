"""The file of accepted findings: read, and added to."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envfab.audit.acceptances import Acceptance, append, check_until, read
from envfab.errors import SupplyError

TODAY = date(2026, 11, 27)
SOON = "2027-01-31"
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
WORDS = TEXTS | st.lists(st.sampled_from(["because", "on", "for", "until", "#", "web1:/srv"]), min_size=1).map(" ".join)


def made(
    id: str = "CVE-1", until: str = SOON, reason: str = "r", package: str | None = None, selector: str | None = None
) -> Acceptance:
    """One as a task makes it."""
    return Acceptance.build(id, until, reason, package, selector)


def test_each_line_is_one(tmp_path: Path) -> None:
    """With and without package and target; comments, empty lines and Windows' line ends are passed over."""
    file = tmp_path / "accepted_findings"
    file.write_bytes(
        b"# what we live with\n\nCVE-1 until 2027-01-31 because the admin is closed\r\n"
        b"  GHSA-2   until 2026-01-31 for Zope.Interface on %web because nothing, because it is late\n"
        b"python-3.8-eol until 2027-01-31 on shop@web1:/srv/my shop because Debian mends it"
    )
    assert read(file, TODAY) == (
        Acceptance("CVE-1", date(2027, 1, 31), "the admin is closed", where="accepted_findings:3"),
        Acceptance("GHSA-2", date(2026, 1, 31), "nothing, because it is late", made(package="zope.interface").package, "%web",
                   "accepted_findings:4"),
        Acceptance("python-3.8-eol", date(2027, 1, 31), "Debian mends it", None, "shop@web1:/srv/my shop", "accepted_findings:5"),
    )  # fmt: skip


def test_no_file_accepts_nothing(tmp_path: Path) -> None:
    """That is how a fleet begins."""
    assert read(tmp_path / "none", TODAY) == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("CVE-1", "'CVE-1' cannot be understood"),
        ("CVE-1 until 2027-01-31", "'CVE-1 until 2027-01-31' cannot be understood"),
        ("CVE-1 until 2027-01-31 because ", "'CVE-1 until 2027-01-31 because' cannot be understood"),
        ("CVE-1 until soon because r", "'soon' must be a day, such as 2027-01-31"),
        ("CVE-1 until 2027-02-30 because r", "'2027-02-30' must be a day, such as 2027-01-31"),
        ("CVE-1 until 20270131 because r", "'20270131' must be a day, such as 2027-01-31"),
        ("CVE-1 until 2031-01-31 because r", "2031-01-31 is more than a year ahead: use 2027-11-28 or an earlier day"),
        ("<CVE-1> until 2027-01-31 because r", "'<CVE-1>' must be the ID of a finding, such as CVE-2026-1234"),
        ("CVE-1 until 2027-01-31 for a/b because r", "'a/b' must be the name of a package"),
        ("CVE-1 until 2027-01-31 on web1: because r", "'web1:' has an empty part"),
        ("CVE-1 until 2027-01-31 because \x1b[2J", "the reason must be one line of text"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    """In one message with file, line and what a line is; nothing is added to such a file."""
    file = tmp_path / "accepted_findings"
    file.write_text(f"# c\n{line}\n")
    said = f"{file}:2: {message}\n  a line is: ID until YYYY-MM-DD [for PACKAGE] [on SELECTOR] because REASON"
    with pytest.raises(SupplyError, match=re.escape(said) + "$"):
        read(file, TODAY)
    with pytest.raises(SupplyError, match=re.escape(said) + "$"):
        append(file, [made()], TODAY)
    assert file.read_text() == f"# c\n{line}\n"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder, a pipe, another encoding."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"# \xe9\n")
    for name, message in {
        "folder": "cannot be read: Is a directory",
        "pipe": "cannot be read: it is not a regular file",
        "latin": "must be a text in UTF-8",
    }.items():
        with pytest.raises(SupplyError) as caught:
            read(tmp_path / name, TODAY)
        assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    """Editors that write one do not make the file useless."""
    file = tmp_path / "accepted_findings"
    file.write_bytes(b"\xef\xbb\xbfCVE-1 until 2027-01-31 because r\r\n")
    append(file, [made("CVE-2")], TODAY)
    assert [one.id for one in read(file, TODAY)] == ["CVE-1", "CVE-2"]


def test_lines_are_added_at_the_end(tmp_path: Path) -> None:
    """What is there stays as it is, with its comments and permissions; a missing line end is added."""
    file = tmp_path / "accepted_findings"
    file.write_text("# c\n\nCVE-1  until 2027-01-31 because r")
    file.chmod(0o664)
    append(file, [made("CVE-2", package="Django"), made("CVE-3", selector="web1")], TODAY)
    assert file.read_text() == (
        "# c\n\nCVE-1  until 2027-01-31 because r\nCVE-2 until 2027-01-31 for django because r\n"
        "CVE-3 until 2027-01-31 on web1 because r\n"
    )
    assert file.stat().st_mode & 0o777 == 0o664
    with pytest.raises(SupplyError, match="cannot be written: No such file or directory"):
        append(tmp_path / "no" / "file", [made()], TODAY)


def test_lines_of_several_people_are_all_there(tmp_path: Path) -> None:
    """Whoever adds lines waits for those who are adding some."""
    file = tmp_path / "accepted_findings"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(file, [made(f"CVE-{number}")], TODAY), range(40)))
    assert {one.id for one in read(file, TODAY)} == {f"CVE-{number}" for number in range(40)}


@settings(max_examples=60, deadline=None)
@given(reason=WORDS, selector=st.none() | WORDS, package=st.sampled_from([None, "Django", "a.b"]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, reason: str, selector: str | None, package: str | None
) -> None:
    """Whatever reason, package and target are, or they are refused."""
    try:
        one = made(reason=reason, package=package, selector=selector)
    except ValueError:
        return
    file = tmp_path_factory.mktemp("again") / "accepted_findings"
    append(file, [one], TODAY)
    (again,) = read(file, TODAY)
    assert again.line() == one.line()


def test_a_year_is_the_longest() -> None:
    """Longer ones would be forgotten."""
    check_until(TODAY + timedelta(days=366), TODAY)
    with pytest.raises(ValueError, match="2027-11-29 is more than a year ahead: use 2027-11-28 or an earlier day"):
        check_until(TODAY + timedelta(days=367), TODAY)
