from __future__ import annotations

from typing import Any

import pytest
from fabric import Config
from hypothesis import given
from hypothesis import strategies as st

from envfab.config.name_patterns import NamePatterns
from envfab.config.settings import Settings, defaults, obsolete, refuse_unknown_variables
from envfab.errors import ConfigurationError


def test_the_defaults_are_those_of_the_dataclass() -> None:
    """The text that configures a collection and the dataclass say the same."""
    assert Settings.from_mapping(defaults()) == Settings.from_mapping({}) == Settings()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("parallel", "7", 7),
        ("parallel", 7, 7),
        ("batch", "25%", "25%"),
        ("batch", " 5 % ", "5%"),
        ("batch", "3", 3),
        ("batch", 3, 3),
        ("batch", None, None),
        ("batch", "", None),
        ("batch", "None", None),
        ("max_failures", "2", 2),
        ("max_failures", "none", None),
        ("keep", 1, 1),
        ("check_retries", 0, 0),
        ("check_timeout", "2.5", 2.5),
        ("connect_timeout", 3, 3.0),
        ("command_timeout", "none", None),
        ("command_timeout", 600, 600.0),
        ("host_keys", "Accept-New", "accept-new"),
        ("host_keys", False, "off"),
        ("store_days", "0", 0),
        ("compile", False, False),
        ("compile", "false", False),
        ("compile", "no", False),
        ("compile", "0", False),
        ("compile", 1, True),
        ("umask", "027", 0o027),
        ("umask", "77", 0o077),
        ("umask", "0o022", 0o022),
        ("umask", 0o022, 0o022),
        ("umask", 2, 0o002),
        ("compilers", None, ()),
        ("compilers", "", ()),
        ("compilers", ["/opt/python3.9", "~/bin/pypy3"], ("/opt/python3.9", "~/bin/pypy3")),
        ("compilers", "/opt/python3.9:~/bin/pypy3", ("/opt/python3.9", "~/bin/pypy3")),
        ("older_than", "7d", 7 * 24 * 60 * 60),
        ("older_than", "36h", 36 * 60 * 60),
        ("older_than", 0, 0),
        ("older_than_except", "mycorp-*, Django", NamePatterns(("mycorp-*", "django"))),
        ("own", ("My_Corp.lib",), NamePatterns(("my-corp-lib",))),
        ("own", "", NamePatterns()),
    ],
)
def test_a_value_is_read_from_text_as_from_yaml(key: str, value: Any, expected: Any) -> None:
    """Each setting takes what a variable, a YAML file or Python gives for it."""
    read = getattr(Settings.from_mapping({key: value}), key)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "compilers",
            ["python3.9"],
            "envfab.compilers: must be a list of full paths of interpreters, not ['python3.9']",
        ),
        ("compilers", "/a::/b", "envfab.compilers: must be a list of full paths of interpreters, not '/a::/b'"),
        ("compilers", 3, "envfab.compilers: must be a list of full paths of interpreters, not 3"),
        ("parallel", "many", "envfab.parallel: must be a whole number from 1 up, not 'many'"),
        ("parallel", 0, "envfab.parallel: must be a whole number from 1 up, not 0"),
        ("parallel", True, "envfab.parallel: must be a whole number from 1 up, not True"),
        ("parallel", None, "envfab.parallel: must be a whole number from 1 up, not None"),
        ("parallel", "-1", "envfab.parallel: must be a whole number from 1 up, not '-1'"),
        ("parallel", 2.5, "envfab.parallel: must be a whole number from 1 up, not 2.5"),
        ("batch", "0%", "envfab.batch: must be a percentage from 1% to 100%, not '0%'"),
        ("batch", "101%", "envfab.batch: must be a percentage from 1% to 100%, not '101%'"),
        ("batch", "half", "envfab.batch: must be a number of virtualenvs, or a percentage like 25%, not 'half'"),
        ("batch", 0, "envfab.batch: must be a whole number from 1 up, not 0"),
        ("max_failures", 0, "envfab.max_failures: must be a whole number from 1 up, not 0"),
        ("check_retries", -1, "envfab.check_retries: must be a whole number from 0 up, not -1"),
        ("check_timeout", 0, "envfab.check_timeout: must be a number of seconds greater than 0, not 0"),
        ("check_timeout", "inf", "envfab.check_timeout: must be a number of seconds greater than 0, not 'inf'"),
        ("connect_timeout", "10s", "envfab.connect_timeout: must be a number of seconds greater than 0, not '10s'"),
        ("host_keys", "sometimes", "envfab.host_keys: must be one of strict, accept-new, off, not 'sometimes'"),
        ("host_keys", True, "envfab.host_keys: must be one of strict, accept-new, off, not True"),
        ("store_days", "many", "envfab.store_days: must be a whole number from 0 up, not 'many'"),
        ("compile", "maybe", "envfab.compile: must be true or false, not 'maybe'"),
        (
            "older_than",
            "a week",
            "envfab.older_than: must be a number of days or hours, like 7d or 24h, or 0, not 'a week'",
        ),
        ("older_than", 7, "envfab.older_than: must be a number of days or hours, like 7d or 24h, or 0, not 7"),
        ("own", 7, "envfab.own: must be a list of names of projects, or patterns like mycorp-*, not 7"),
        ("own", ["a b"], "envfab.own: must be a list of names of projects, or patterns like mycorp-*, not ['a b']"),
        (
            "older_than_except",
            "a,,b",
            "envfab.older_than_except: must be a list of names of projects, or patterns like mycorp-*, not 'a,,b'",
        ),
        ("provenance", "maybe", "envfab.provenance: must be one of keep, verify, off, not 'maybe'"),
        ("umask", "089", "envfab.umask: must be an octal mask in quotes, like '022', not '089'"),
        ("umask", 22, "envfab.umask: must be an octal mask in quotes: '022', not 22"),
        ("umask", 77, "envfab.umask: must be an octal mask in quotes: '077', not 77"),
        ("umask", 0o1000, "envfab.umask: must be an octal mask in quotes, like '022', not 512"),
        ("umask", 22.0, "envfab.umask: must be an octal mask in quotes, like '022', not 22.0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(key: str, value: Any, message: str) -> None:
    """The message names the setting, repeats the value and says what would do."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_mapping({key: value})
    assert str(caught.value) == message


def test_a_wrong_value_of_a_variable_is_refused_by_its_name() -> None:
    """Invoke makes a setting of it; the message names what was written. A flag outranks it."""
    environ = {"FABRIC_ENVFAB_KEEP": "x"}
    with pytest.raises(ConfigurationError, match=r"^FABRIC_ENVFAB_KEEP: must be a whole number from 1 up, not 'x'"):
        Settings.from_mapping({"keep": "x"}, environ=environ)
    with pytest.raises(ConfigurationError, match=r"^--keep: must be a whole number from 1 up, not 'y'"):
        Settings.from_mapping({"keep": "x"}, {"keep": "y"}, environ)


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt key does not pass silently: the message has the nearest one and all there are."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_mapping({"paralel": 3})
    assert str(caught.value) == (
        "envfab.paralel: unknown setting; did you mean parallel?\n"
        "  the settings are: parallel, jump_parallel, processes, batch, max_failures, keep, check_retries, check_timeout, host_keys, compile, "
        "store_days, umask, connect_timeout, command_timeout, compilers, log_rollouts, log_megabytes, older_than, "
        "older_than_except, own, provenance"
    )


def test_settings_of_envfab_1_are_passed_over_and_told() -> None:
    """A fabfile, or an environment, that still sets them gets a line for each, and goes on."""
    assert Settings.from_mapping({"installer": "auto", "link": "no"}) == Settings()
    refuse_unknown_variables({"FABRIC_ENVFAB_INSTALLER": "uv"})
    told = obsolete({"link": False}, {"FABRIC_ENVFAB_INSTALLER": "uv"})
    assert told == (
        "FABRIC_ENVFAB_INSTALLER: this setting has no effect any more, since envfab unpacks wheels itself; remove it",
        "envfab.link: this setting has no effect any more, since files are always links where links can be made; remove it",
    )
    assert obsolete({"keep": 3}, {}) == ()


@pytest.mark.parametrize("name", ["FABRIC_ENVFAB_MAX_FAILURE", "FABRIC_ENVFAB_max_failures", "FABRIC_ENVFAB_"])
def test_a_variable_that_is_no_setting_is_refused(name: str) -> None:
    """Invoke reads only variables of settings that it knows: a misspelt one would change nothing, in silence."""
    with pytest.raises(ConfigurationError) as caught:
        refuse_unknown_variables({name: "1"})
    near = "; did you mean FABRIC_ENVFAB_MAX_FAILURES?" if "MAX" in name.upper() else ""
    assert str(caught.value).splitlines()[0] == f"{name}: unknown setting{near}"


def test_variables_of_settings_and_of_others_pass() -> None:
    """What is a setting, and what is not ours, is nobody's mistake."""
    refuse_unknown_variables({f"FABRIC_ENVFAB_{key.upper()}": "1" for key in defaults()})
    refuse_unknown_variables({"FABRIC_RUN_ECHO": "1", "INVOKE_ENVFAB_X": "1", "ENVFAB_COLLECTOR_DATA": "/d"})


def test_what_was_typed_outranks_the_rest_and_is_named_as_typed() -> None:
    """A wrong value of a flag names the flag, not the setting that it stands for."""
    assert Settings.from_mapping({"batch": "many"}, {"batch": "3"}).batch == 3
    assert Settings.from_mapping({}, {"batch": "3"}).max_failures == 1
    with pytest.raises(ConfigurationError, match=r"^--max-failures: must be a whole number from 1 up, not '0'"):
        Settings.from_mapping({}, {"max_failures": "0"})
    with pytest.raises(ConfigurationError, match=r"^envfab\.parallel: must be a whole number from 1 up, not 0"):
        Settings.from_mapping({"parallel": 0}, {"batch": "3"})


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({}, None),
        ({"batch": 5}, 1),
        ({"batch": "10%", "max_failures": None}, 1),
        ({"batch": 5, "max_failures": 3}, 3),
        ({"batch": 5, "max_failures": "none"}, None),
    ],
)
def test_waves_stop_at_the_first_failure_unless_told_otherwise(mapping: dict[str, Any], expected: int | None) -> None:
    """`max_failures` is 1 with `batch`, and unlimited where it says none."""
    assert Settings.from_mapping(mapping).max_failures == expected


class TestInvoke:
    """What Invoke makes of these defaults, tried with Fabric's own configuration."""

    @staticmethod
    def settings(monkeypatch: pytest.MonkeyPatch, files: dict[str, Any] | None = None, **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(f"FABRIC_ENVFAB_{name.upper()}", value)
        config = Config(overrides={"envfab": files or {}})
        config.load_collection({"envfab": defaults()})
        config.load_shell_env()
        return Settings.from_mapping(config.envfab)

    def test_a_configuration_without_changes_has_the_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Invoke's proxy of a dictionary is read like one."""
        assert self.settings(monkeypatch) == Settings()

    def test_every_setting_can_come_from_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables reach numbers, truth values and the settings that are unset by default."""
        found = self.settings(
            monkeypatch,
            parallel="4",
            batch="25%",
            max_failures="2",
            keep="9",
            check_retries="0",
            check_timeout="1.5",
            host_keys="off",
            compile="false",
            store_days="7",
            umask="027",
            connect_timeout="2",
            command_timeout="60",
            compilers="/opt/python3.9",
            jump_parallel="3",
            processes="2",
        )
        assert found == Settings(4, 3, 2, "25%", 2, 9, 0, 1.5, "off", False, 7, 0o027, 2.0, 60.0, ("/opt/python3.9",))

    def test_a_wrong_variable_is_our_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Invoke does not get to cast a variable into a traceback of its own."""
        with pytest.raises(
            ConfigurationError, match=r"^envfab\.parallel: must be a whole number from 1 up, not 'many'"
        ):
            self.settings(monkeypatch, parallel="many")


@given(st.sampled_from(list(defaults())), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5))
def test_any_value_is_read_or_refused_by_name(key: str, value: Any) -> None:
    """Nothing that YAML or a variable can hold ends in another error than ours."""
    try:
        problem = ""
        Settings.from_mapping({key: value})
    except ConfigurationError as error:
        problem = str(error)
    assert not problem or problem.startswith(f"envfab.{key}: ")
