"""The SSH configuration: what ssh would do is what envfab does, and ssh is asked no oftener than that needs."""

from __future__ import annotations

import getpass
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envfab.errors import Unreachable
from envfab.remote.ssh import openssh
from envfab.remote.ssh.config import SSHConfigError, SSHConfiguration
from envfab.remote.ssh.host_config import HostConfig

HOSTS = ("web1", "web2", "db.example.org", "10.0.0.7")
Write = Callable[..., Path]

# each is a configuration; the hosts are looked up in all of them
TABLE = {
    "empty": "",
    "host blocks": "Host web1\n HostName 10.0.0.1\n Port 2222\n User ada\nHost web*\n User bob\n Port 23\nHost *\n User cy\n",
    "negation": "Host * !web1\n User bob\nHost web? !web2\n Port 77\n",
    "equals signs": "Host=web1\n Port=77\n User = ada\n",
    "keywords in any case": "hOST web1\n pORT 77\n USER ada\n",
    "hostname token": "Host web*\n HostName %h.example.org\n User ada\n",
    "escaped token": "Host web1\n HostName %%h\n",
    "trailing comments": "Host web1 # one\n Port 22 # comment\n User ada # her\nHost web2 #web1\n User bob\n",
    "quotes": 'Host "web1"\n User "ada"\n HostName "10.0.0.1"\n UserKnownHostsFile "/tmp/known hosts" /tmp/k2\n',
    "service as port": "Host web1\n Port ssh\n",
    "minutes": "Host web1\n ConnectTimeout 1m\nHost web2\n ConnectTimeout 7\nHost *\n ConnectTimeout none\n",
    "identities": "Host web1\n IdentityFile ~/.ssh/one\nHost web*\n IdentityFile ~/.ssh/two\n IdentityFile /etc/three\n",
    "identity twice": "Host web1\n IdentityFile ~/one\n IdentityFile ~/one\n IdentitiesOnly yes\n",
    "identity tokens": "Host *\n IdentityFile ~/.ssh/%h-%r-%n-%p\n IdentityFile ${HOME}/key\n User ada\n Port 24\n",
    "no identity": "Host web1\n IdentityFile none\n",
    "certificates": "Host web*\n IdentityFile ~/k\n CertificateFile ~/k-cert.pub\n",
    "agent": "Host web1\n IdentityAgent ~/agent\nHost web2\n IdentityAgent none\nHost *\n IdentityAgent SSH_AUTH_SOCK\n",
    "known hosts": "Host web1\n UserKnownHostsFile ~/k1 /tmp/k2\n GlobalKnownHostsFile /dev/null\n",
    "known hosts tokens": "Host *\n UserKnownHostsFile ~/.ssh/known_%h ${HOME}/%k\n HostKeyAlias alias\n",
    "no known hosts": "Host web1\n UserKnownHostsFile none\nHost web2\n UserKnownHostsFile /dev/null\n StrictHostKeyChecking no\n",
    "alias": "Host web1\n HostKeyAlias shop\n StrictHostKeyChecking accept-new\n",
    "jump": "Host web1\n ProxyJump ada@jump:2222,other\nHost web2\n ProxyJump none\nHost web*\n ProxyJump jump\n",
    "jump before command": "Host web1\n ProxyJump jump\n ProxyCommand nc %h %p\n",
    "command before jump": "Host web1\n ProxyCommand nc %h %p\nHost *\n ProxyJump jump\n",
    "command": 'Host web1\n ProxyCommand ssh -W %h:%p "jump" # kept\nHost web2\n ProxyCommand none\n',
    "match host": "Match host web1\n Port 77\nMatch host=web2\n Port 78\n",
    "match quoted": 'Match host="web1"\n Port 77\n',
    "match all": "Host web1\n User ada\nMatch all\n Port 77\n User bob\n",
    "match final": "Match final all\n Port 77\nHost web1\n User ada\n",
    "match exec": 'Match exec true\n Port 77\nMatch exec false\n User bob\nMatch exec "test %h = web1"\n User ada\n',
    "match user": "Host web1\n User ada\nMatch user ada\n Port 77\nMatch localuser nobody-here\n User bob\n",
    "match original": "Host web1\n HostName web2\nMatch originalhost web1\n Port 77\nMatch host web2\n User ada\n",
    "match negated": "Match !host web1\n Port 77\n",
    "canonical": "CanonicalizeHostname yes\nUser ada\n",
    "canonical domains": "CanonicalizeHostname yes\nCanonicalDomains example.invalid\nCanonicalizeFallbackLocal yes\nHost web1\n User ada\n",
    "include": "Host web1\n User ada\nInclude FOLDER/more\nHost *\n Port 77\n",
    "include in a block": "Host web1\n Include FOLDER/more\n User ada\nHost *\n User cy\n",
    "include of nothing": "Include FOLDER/none/*.conf\nHost web1\n User ada\n",
    "include by pattern": "Include FOLDER/m*re\nUser cy\n",
    "irrelevant": "Host *\n ForwardX11 yes\n ServerAliveInterval 5\n SendEnv LANG LC_*\n ControlMaster auto\n ControlPath ~/.ssh/%C\n",
    "algorithms": "Host web1\n Ciphers aes256-ctr\n KexAlgorithms +diffie-hellman-group14-sha1\nHost *\n MACs hmac-sha2-512\n",
    "host in capitals": "Host WEB1\n User ada\nHost web1\n User bob\n",
    "brackets": "Host web[12]\n User ada\n",
    "unicode": "# Zürich\nHost web1\n User ada\n",
    "tabs": "Host\tweb1\n\tUser\tada\t\n\tPort\t\t77\n",
    "no newline at the end": "Host web1\n User ada",
    "windows lines": "Host web1\r\n User ada\r\n Port 77\r\n",
}
MORE = "User mary\nHost web2\n Port 99\n IdentityFile ~/.ssh/more\nHost *\n HostKeyAlias from-more\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an SSH configuration."""

    def write(text: str, more: str = MORE) -> Path:
        (tmp_path / "more").write_text(more)
        file = tmp_path / "ssh_config"
        file.write_bytes(text.replace("FOLDER", str(tmp_path)).encode())
        return file

    return write


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """For which hosts ssh was asked."""
    names: list[str] = []
    ask = openssh.ask

    def counting(program: str, files: list[str], name: str, *login: object) -> dict[str, list[str]]:
        names.append(name)
        return ask(program, files, name, *login)  # type: ignore[arg-type]

    monkeypatch.setattr(openssh, "ask", counting)
    return names


def by_ssh(file: Path, name: str) -> dict[str, object]:
    """What `ssh -G` resolves, in the form of `by_envfab`."""
    done = subprocess.run(
        ["ssh", "-F", str(file), "-G", name], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        return {"refused": True}
    values: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, []).append(value)
    host, port, user = (values[keyword][0] for keyword in ("hostname", "port", "user"))

    def expanded(path: str) -> str:
        for token, value in {"%h": host, "%n": name, "%p": port, "%r": user, "${HOME}": os.environ["HOME"]}.items():
            path = path.replace(token, value)
        return os.path.expanduser(path)

    def one(keyword: str) -> str | None:
        return values.get(keyword, [None])[0]

    return {
        "hostname": host,
        "port": int(port),
        "user": user,
        "identities": [expanded(path) for path in values.get("identityfile", []) if not _default(path)],
        "certificates": [expanded(path) for path in values.get("certificatefile", []) if path != "none"],
        "only": one("identitiesonly") == "yes",
        "agent": _agent(one("identityagent")),
        "jump": one("proxyjump"),
        # by Paramiko its tokens are replaced already
        "command": expanded(one("proxycommand") or "") or None,
        "known hosts": [path for path in (one("userknownhostsfile") or "").split(" ") if path != "none"],
        "alias": one("hostkeyalias"),
        "timeout": None if one("connecttimeout") == "none" else float(one("connecttimeout") or 0),
        "strict": {"false": "no", "true": "yes"}.get(one("stricthostkeychecking") or "", one("stricthostkeychecking")),
    }


def by_envfab(configuration: SSHConfiguration, name: str) -> dict[str, object]:
    """What envfab would do."""
    try:
        found: HostConfig = configuration.lookup(name)
    except Unreachable:
        return {"refused": True}
    identities = [] if found.default_identities else [str(path) for path in found.identity_files]
    return {
        "hostname": found.hostname,
        "port": found.port or 22,
        "user": found.user or getpass.getuser(),
        "identities": identities,
        "certificates": [str(path) for path in found.certificate_files],
        "only": found.identities_only,
        "agent": found.identity_agent,
        "jump": None if found.proxy_jump == "none" else (found.proxy_jump or "").removeprefix("ssh://") or None,
        "command": None if found.proxy_jump or found.proxy_command == "none" else _replaced(found),
        "known hosts": " ".join(map(str, found.user_known_hosts)).split(),
        "alias": found.host_key_alias,
        "timeout": found.connect_timeout,
        "strict": found.strict_host_keys,
    }


def _replaced(found: HostConfig) -> str | None:
    command = found.proxy_command
    return command and command.replace("%h", found.hostname).replace("%p", str(found.port or 22))


def _default(path: str) -> bool:
    return path.startswith("~/.ssh/id_") or path == "none"


def _agent(value: str | None) -> str | None:
    return {None: None, "none": "", "SSH_AUTH_SOCK": None}.get(value, value)


def of_passwd(found: dict[str, object]) -> dict[str, object]:
    """ssh takes the home of the user database where envfab, as Fabric, takes HOME, which the tests have moved."""
    import pwd

    home, moved = pwd.getpwuid(os.getuid()).pw_dir, os.environ["HOME"]
    if isinstance(found.get("agent"), str):
        found["agent"] = str(found["agent"]).replace(f"{home}/", f"{moved}/")
    known = found.get("known hosts", [])
    assert isinstance(known, list)
    return found | {"known hosts": [path.replace(f"{home}/", f"{moved}/") for path in known]}


@pytest.mark.parametrize("text", TABLE.values(), ids=TABLE.keys())
def test_envfab_does_what_ssh_does(write: Write, text: str) -> None:
    """Address, port, user, keys in their order, jump hosts, known_hosts and the rest, for four hosts each."""
    file = write(text)
    configuration = SSHConfiguration(str(file))
    for name in HOSTS:
        assert of_passwd(by_envfab(configuration, name)) == of_passwd(by_ssh(file, name)), name


@pytest.mark.parametrize("text", [" User ada\u2028Port 77", " User ada\u0085Port 77", "\x0bUser ada", "\x0cUser ada"])
def test_only_a_line_feed_ends_a_line(write: Write, text: str) -> None:
    """Python knows more of them, and more spaces; ssh refuses such lines, and envfab read `Port 77`."""
    file = write(f"Host web1\n{text}\n")
    with pytest.raises(Unreachable, match="ssh rejects its configuration"):
        SSHConfiguration(str(file)).lookup("web1")


WORDS = st.sampled_from(["web1", "web*", "db.*", "*", "!web2", "10.0.0.?", "web?", "*.example.org"])
VALUES = {
    "HostName": ["10.1.1.1", "%h.example.org", "Other.Example.org", "::1"],
    "Port": ["22", "2222", "65535", "ssh", "2222 # x"],
    "User": ["ada", "bob-x", '"cy"', "a@b", "ada # x"],
    "IdentityFile": ["~/.ssh/k1", "/etc/k2", "none", "~/.ssh/%h", '"~/a b"', "rel/path"],
    "IdentitiesOnly": ["yes", "no"],
    "ProxyJump": ["jump", "none", "a@jump:22,b", "ssh://a@jump:7"],
    "ProxyCommand": ["nc %h %p", "none", "ssh -W %h:%p jump"],
    "UserKnownHostsFile": ["~/k", "/dev/null", "/tmp/a /tmp/b", "none"],
    "HostKeyAlias": ["alias", "Alias2"],
    "ConnectTimeout": ["5", "1m", "none", "90"],
    "StrictHostKeyChecking": ["yes", "no", "ask", "accept-new", "off"],
    "ForwardAgent": ["yes", "no"],
    "Compression": ["yes"],
}
SETTING = st.sampled_from(sorted(VALUES)).flatmap(
    lambda keyword: st.sampled_from(VALUES[keyword]).map(lambda value: f"  {keyword} {value}")
)
BLOCK = st.tuples(
    st.one_of(
        st.lists(WORDS, min_size=1, max_size=3).map(lambda words: f"Host {' '.join(words)}"),
        st.sampled_from(["Match all", "Match host web1", "Match user ada", "Include FOLDER/more", "# nothing"]),
    ),
    st.lists(SETTING, max_size=4),
).map(lambda block: "\n".join([block[0], *block[1]]))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BLOCK, max_size=5).map("\n".join))
def test_envfab_does_what_ssh_does_whatever_the_blocks(write: Write, text: str) -> None:
    """Blocks and settings in any combination."""
    file = write(text)
    configuration = SSHConfiguration(str(file))
    for name in HOSTS[:3]:
        assert of_passwd(by_envfab(configuration, name)) == of_passwd(by_ssh(file, name)), name


def test_an_ordinary_configuration_asks_ssh_nothing(write: Write, asked: list[str]) -> None:
    """Host blocks with simple values are read here, and so is a file that includes nothing that there is."""
    blocks = [f"Host web{n}\n HostName 10.0.0.{n}\n User ada\n IdentityFile ~/.ssh/id_web\n" for n in range(20)]
    file = write("Include FOLDER/none.d/*.conf\n" + "".join(blocks) + "Host *\n ServerAliveInterval 30\n")
    configuration = SSHConfiguration(str(file))
    assert [configuration.lookup(f"web{n}").hostname for n in range(20)] == [f"10.0.0.{n}" for n in range(20)]
    assert asked == []


def test_hosts_that_the_same_lines_apply_to_are_asked_for_once(write: Write, asked: list[str]) -> None:
    """Also where each has a block, and an address, of its own; who has other lines is asked for apart."""
    blocks = [f"Host web{n}\n HostName 10.0.0.{n}\n" for n in range(20)]
    file = write(
        "".join(blocks) + "Host web7\n User bob\nHost *\nInclude FOLDER/more\n", more="User mary\nCiphers aes256-ctr\n"
    )
    configuration = SSHConfiguration(str(file))
    found = {f"web{n}": configuration.lookup(f"web{n}") for n in range(20)}
    assert asked == ["web0", "web7"]
    assert {name: one.hostname for name, one in found.items()} == {f"web{n}": f"10.0.0.{n}" for n in range(20)}
    assert {one.user for name, one in found.items() if name != "web7"} == {"mary"}
    assert found["web7"].user == "bob"


def test_a_host_is_asked_for_once_however_many_ask(write: Write, asked: list[str]) -> None:
    """Ten threads, one process."""
    configuration = SSHConfiguration(str(write("Match host web1\n User ada\n")))
    threads = [threading.Thread(target=configuration.lookup, args=("web1",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["web1"]


def test_the_user_of_a_login_is_told_to_ssh(write: Write) -> None:
    """`Match user` and %r mean who logs in, not only whom the configuration names."""
    file = write("Match user ada\n Port 77\nHost *\n IdentityFile ~/.ssh/%r\n")
    configuration = SSHConfiguration(str(file))
    assert configuration.lookup("web1", "ada").port == 77
    assert configuration.lookup("web1", "ada").identity_files[0].name == "ada"
    assert configuration.lookup("web1", "bob").port == 22


def test_the_usual_files_are_the_user_s_and_the_system_s(tmp_path: Path) -> None:
    """The user's come first, wherever HOME is, whether or not ssh is asked."""
    users, systems = tmp_path / "config", tmp_path / "system"
    for odd in ("", "Match all\n"):
        users.write_text(f"Host web1\n User ada\n{odd}")
        systems.write_text("Host *\n User root\n Port 77\n")
        found = SSHConfiguration(user_file=str(users), system_file=str(systems)).lookup("web1")
        assert (found.user, found.port) == ("ada", 77)
        assert found.user_known_hosts == tuple(Path.home() / ".ssh" / name for name in ("known_hosts", "known_hosts2"))


def test_nothing_is_read_where_fabric_is_to_load_nothing(tmp_path: Path, asked: list[str]) -> None:
    """`load_ssh_configs: false`."""
    users = tmp_path / "config"
    users.write_text("Match all\n User ada\n")
    assert SSHConfiguration(user_file=str(users), load=False).lookup("web1").user is None
    assert asked == []


class TestRefusals:
    """One line, for those whom it concerns."""

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("Port\n", 'line 1: no argument after keyword "port"'),
            ("Host web2\n Bogus x\n", "line 2: Bad configuration option: bogus"),
            ("Host web1\n ConnectTimeout soon\n", "line 2: invalid time value."),
            ("Host 'web1\n User ada\n", "line 1: invalid quotes"),
        ],
    )
    def test_what_ssh_refuses_is_one_line(self, write: Write, text: str, why: str) -> None:
        """With ssh's own reason."""
        file = write(text)
        with pytest.raises(Unreachable) as caught:
            SSHConfiguration(str(file)).lookup("web1")
        first, hint = str(caught.value).splitlines()
        assert first.startswith("web1: ssh rejects its configuration: ")
        assert first.endswith(why) or why in first
        assert hint == "  correct your SSH config"

    def test_what_concerns_all_hosts_is_told_once(self, write: Write) -> None:
        """Where each host of a run would be refused for the same reason the run is."""
        configuration = SSHConfiguration(str(write("Port\n")))
        with pytest.raises(SSHConfigError, match=r"^ssh rejects its configuration: .*ssh_config line 1: no argument"):
            configuration.refuse_if_useless([("web1", None), ("web2", "ada")])

    def test_what_concerns_one_host_is_left_to_it(self, write: Write) -> None:
        """The others go on."""
        configuration = SSHConfiguration(str(write("Host web1\n UserKnownHostsFile ~nosuchuser/x\n")))
        configuration.refuse_if_useless([("web1", None), ("web2", None)])

    @pytest.mark.parametrize("name", ["-oProxyCommand=touch x", "-F", ""])
    def test_no_host_name_is_an_option_of_ssh(self, write: Write, name: str, asked: list[str]) -> None:
        """It never gets as far."""
        with pytest.raises(Unreachable, match="is not a host name"):
            SSHConfiguration(str(write("Match all\n"))).lookup(name)
        assert asked == []

    def test_a_variable_that_is_not_set(self, write: Write) -> None:
        """ssh fails over it too, at the moment of the login."""
        with pytest.raises(Unreachable, match="the environment variable NOT_SET_HERE is not set"):
            SSHConfiguration(str(write("IdentityFile ${NOT_SET_HERE}/key\n"))).lookup("web1")


class TestWithoutSSH:
    """Paramiko reads what it can, and what it may have read otherwise is said."""

    def test_an_ordinary_configuration_is_read_as_ever(self, write: Write) -> None:
        """Nothing is said."""
        configuration = SSHConfiguration(str(write("Host web1\n User ada\n Port 77\n")), program="")
        assert (configuration.lookup("web1").user, configuration.lookup("web1").port) == ("ada", 77)
        assert configuration.notes == ()

    def test_a_match_that_paramiko_does_not_know_matches_nobody(self, write: Write) -> None:
        """Its settings would otherwise be everybody's."""
        text = "Match localnetwork 10.0.0.0/8\n User evil\nMatch host web1\n Port 77\nHost web1\n User ada\n"
        configuration = SSHConfiguration(str(write(text)), program="")
        assert (configuration.lookup("web1").user, configuration.lookup("web1").port) == ("ada", 77)

    def test_what_it_does_not_know_is_said_once(self, write: Write) -> None:
        """However many hosts it concerns."""
        file = write("Include FOLDER/more\nHost web1\n User ada\n")
        configuration = SSHConfiguration(str(file), program="")
        for name in HOSTS:
            configuration.lookup(name)
        more = file.with_name("more")
        said = f"there is no ssh program, so Paramiko reads your SSH config, and it does not understand Include (of {more})"
        assert configuration.notes == (said,)
