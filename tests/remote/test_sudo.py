"""What sudo's own list says of a command."""

from __future__ import annotations

import pytest

from envfab.remote.sudo import without_password
from envfab.remote.sudo_advice import sudoers_line

LISTING = """Matching Defaults entries for ada on web1:
    env_reset, secure_path=/usr/sbin\\:/usr/bin

User ada may run the following commands on web1:

Sudoers entry:
    RunAsUsers: ALL
    RunAsGroups: ALL
    Commands:
\tALL

Sudoers entry: /etc/sudoers.d/ada
    RunAsUsers: root
    Options: !authenticate
    Commands:
\t/usr/bin/systemctl reload shop
\t/usr/bin/systemctl restart shop@*
\t/usr/bin/id ""
\t/usr/sbin/nginx

Sudoers entry:
    RunAsUsers: root, www
    Options: authenticate
    Commands:
\t/usr/sbin/nginx -s stop
"""


@pytest.mark.parametrize(
    ("user", "command", "expected"),
    [
        ("root", "/usr/bin/systemctl reload shop", True),
        ("root", "/usr/bin/systemctl reload blog", False),
        ("root", "/usr/bin/systemctl restart shop@1", True),
        ("root", "/usr/bin/id", True),
        ("root", "/usr/bin/id -u", False),
        ("root", "/usr/sbin/nginx -s reload", True),
        ("root", "/usr/sbin/nginx -s stop", False),
        ("blog", "/usr/bin/systemctl reload shop", False),
    ],
)
def test_the_last_entry_that_matches_decides(user: str, command: str, expected: bool) -> None:
    """By the user, the program and its arguments; one that names no arguments allows any, `""` none."""
    assert without_password(LISTING, user, command) is expected


def test_a_list_that_is_not_understood_says_nothing() -> None:
    """Sudo itself has the last word then."""
    assert without_password("", "root", "/usr/bin/id") is None
    assert without_password("Sudoers entry:\n    Commands:\n\t/bin/x\n", "root", "/usr/bin/id") is None


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        (None, "ALL"),
        (["/bin/x"], '/bin/x ""'),
        (["/bin/x", "a=b,c:d", "e f"], r"/bin/x a\=b\,c\:d e\ f"),
        (["systemctl", "reload", "shop"], "/full/path/of/systemctl reload shop"),
    ],
)
def test_what_sudoers_takes_for_its_own_is_escaped(arguments: list[str] | None, spec: str) -> None:
    """As sudoers(5) wants it; no arguments means none, and not any."""
    assert sudoers_line("ada", "root", arguments) == f"ada ALL=(root) NOPASSWD: {spec}"
