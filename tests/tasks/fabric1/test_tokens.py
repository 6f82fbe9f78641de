from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envfab.errors import UsageError
from envfab.tasks.fabric1.tokens import split_arguments
from tests.tasks.fabric1.spelling import escape


class TestGrammar:
    @pytest.mark.parametrize(
        ("token", "expected"),
        [
            ("deploy:web1", ("deploy", ("web1",), ())),
            ("deploy:user@host:/path,yes=true", ("deploy", ("user@host:/path",), (("yes", "true"),))),
            ("env.deploy::/srv/venv", ("env.deploy", (":/srv/venv",), ())),
            ("deploy:a,b,c", ("deploy", ("a", "b", "c"), ())),
            (r"deploy:a\,b,c", ("deploy", ("a,b", "c"), ())),
            (r"deploy:yes\=true", ("deploy", ("yes=true",), ())),
            (r"deploy:why=a\=b\,c=d", ("deploy", (), (("why", "a=b,c=d"),))),
            ("deploy:why=a=b", ("deploy", (), (("why", "a=b"),))),
            (r"deploy:C\dir", ("deploy", (r"C\dir",), ())),
            ("yank_wheel:shop==2.1,reason=broken", ("yank_wheel", ("shop==2.1",), (("reason", "broken"),))),
            ("deploy:host:/srv/a=b", ("deploy", ("host:/srv/a=b",), ())),
            ("deploy:two words", ("deploy", ("two words",), ())),
            ("deploy:--help", ("deploy", ("--help",), ())),
        ],
    )
    def test_a_token_is_taken_apart_as_fabric_1_did(self, token: str, expected: object) -> None:
        """The first colon splits, commas separate, backslashes escape, keywords look like argument names."""
        assert split_arguments(token) == expected

    @pytest.mark.parametrize("token", ["deploy:", "deploy: ", "deploy:a,", "deploy:,a", "deploy:a,,b"])
    def test_an_empty_word_is_an_error(self, token: str) -> None:
        """`deploy:$HOST` with HOST unset is not everything."""
        with pytest.raises(UsageError) as caught:
            split_arguments(token)
        assert str(caught.value) == f"{token!r}: the name is empty\n  is a shell variable unset?"

    def test_an_empty_value_is_an_error(self) -> None:
        """`deploy:batch=$BATCH` with BATCH unset is told, too."""
        with pytest.raises(UsageError, match="batch= has no value"):
            split_arguments("deploy:batch=")

    @given(
        st.lists(st.text(min_size=1).filter(lambda text: text.strip() and not text.endswith("\\")), min_size=1),
        st.lists(
            st.tuples(
                st.from_regex(r"[a-z][a-z_-]*", fullmatch=True),
                st.text(min_size=1).filter(lambda text: not text.endswith("\\")),
            )
        ),
    )
    def test_what_is_escaped_comes_back(self, words: list[str], keywords: list[tuple[str, str]]) -> None:
        """Any words and values survive, but for a backslash at their end, for which Fabric 1 has no spelling."""
        # A backslash before a comma or an equals sign is the escape itself.
        assume(not any("\\," in text or "\\=" in text for text in (*words, *(value for _, value in keywords))))
        pieces = [*map(escape, words), *(f"{key}={escape(value)}" for key, value in keywords)]
        assert split_arguments("deploy:" + ",".join(pieces)) == ("deploy", tuple(words), tuple(keywords))
