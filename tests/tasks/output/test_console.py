"""Questions at the terminal: what is shown as an answer is what is taken as one."""

from __future__ import annotations

import pytest

from envfab.tasks.output.console import Console

ANSWERS = ("yes", "no", "all 3 with this plan", "quit")


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that are typed one after another; then the input ends."""
    lines: list[str] = []

    def read() -> str:
        if not lines:
            raise EOFError
        return lines.pop(0)

    monkeypatch.setattr("builtins.input", read)
    return lines


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("y", "yes"), ("YES ", "yes"), ("ye", "yes"), ("n", "no"), ("all", "all"), ("q", "quit"), ("quit", "quit")],
)
def test_an_answer_is_given_by_the_beginning_of_its_first_word(typing: list[str], typed: str, answer: str) -> None:
    """In letters of either case."""
    typing.append(typed)
    assert Console().ask("Deploy?", ANSWERS) == answer


@pytest.mark.parametrize("typed", ["", " ", "yikes", "yes please", "x", "ll", "[y]es"])
def test_any_other_answer_is_asked_for_again_with_the_words_to_choose_from(
    typing: list[str], capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """What only begins like a yes is not a yes."""
    typing += [typed, "no"]
    assert Console().ask("Deploy?", ANSWERS) == "no"
    question = "Deploy?  [y]es  [n]o  [a]ll 3 with this plan  [q]uit "
    assert capsys.readouterr().out == f"{question}answer yes, no, all or quit\n{question}"


def test_a_yes_or_no_question_takes_no_other_answer(typing: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Also not one that other questions have."""
    typing += ["q", "a", "yes"]
    assert Console().confirm("Sign 2 lines?")
    assert capsys.readouterr().out.count("answer yes or no\n") == 2


def test_the_end_of_the_input_is_never_a_yes(typing: list[str]) -> None:
    """It quits where that can be answered, and else is a no."""
    assert not typing
    assert Console().ask("Deploy?", ANSWERS) == "quit"
    assert not Console().confirm("Deploy?")
