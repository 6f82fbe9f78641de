"""Requirements files: what is read, what is passed over, and what is refused with its line."""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envfab.errors import RequirementsError, SeveralErrors
from envfab.models.requirements import Requirements, parse

DIGEST = "0f" * 32
OTHER_DIGEST = "ab" * 32


def parsed(text: str, **others: str) -> Requirements:
    """The file `shop.txt` with `text`; `others` are files beside it, without their `.txt`."""
    files = {"shop.txt": text, **{f"{name}.txt": content for name, content in others.items()}}
    return parse(["shop.txt"], reader(files))


def reader(files: dict[str, str]) -> Callable[[str], str]:
    """Reads from a dictionary and fails as a disk does."""

    def read(name: str) -> str:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        return files[name]

    return read


def refusal(text: str, **others: str) -> str:
    """What is said of a text that is refused."""
    with pytest.raises(RequirementsError) as caught:
        parsed(text, **others)
    return str(caught.value)


def lines(requirements: Requirements) -> list[str]:
    """The entries as they would be written."""
    return [str(entry.requirement) for entry in requirements.entries]


class TestLines:
    def test_names_and_pins_are_the_base_case(self) -> None:
        """The spellings of old lists, `name` and `name==version`, read as they always did."""
        assert lines(parsed("Django\nasgiref==3.8.1\n")) == ["Django", "asgiref==3.8.1"]

    def test_every_entry_knows_its_file_and_line(self) -> None:
        """Comments, empty lines and continuations count as lines of the file."""
        requirements = parsed("# web\n\nDjango \\\n  >=5 \\\n  ,<6\nasgiref  # why\n")
        assert [(str(entry.requirement), entry.origin) for entry in requirements.entries] == [
            ("Django<6,>=5", "shop.txt:3"),
            ("asgiref", "shop.txt:6"),
        ]

    def test_a_comment_ends_a_continued_line(self) -> None:
        """As in pip, a comment line after a backslash is no part of the requirement."""
        assert lines(parsed("Django \\\n# next\nasgiref\n")) == ["Django", "asgiref"]

    def test_a_hash_sign_within_a_word_is_no_comment(self) -> None:
        """Only a hash sign at the start or after white space begins a comment."""
        assert "not a requirement" in refusal("Django#5\n")

    def test_a_backslash_at_the_very_end_is_harmless(self) -> None:
        """A file may end in the middle of a continued line."""
        assert lines(parsed("Django \\")) == ["Django"]

    def test_a_byte_order_mark_is_passed_over(self) -> None:
        """Editors of another system put one before the first line."""
        assert lines(parsed("\ufeffDjango\n")) == ["Django"]

    def test_markers_and_extras_are_kept(self) -> None:
        """They are evaluated for the target, so not here."""
        (entry,) = parsed('Shop[web,Admin] >= 2 ; python_version < "3.9"\n').entries
        assert entry.name == "shop"
        assert entry.requirement.extras == {"web", "Admin"}
        assert str(entry.requirement.marker) == 'python_version < "3.9"'

    def test_packages_in_line_follow_the_files(self) -> None:
        """What a fabfile lists in `packages` is required too, and says where it stands."""
        requirements = parse(["shop.txt"], reader({"shop.txt": "Django"}), ["staging_site  # ours"], "packages of web1")
        assert [(entry.name, entry.origin) for entry in requirements.entries] == [
            ("django", "shop.txt:1"),
            ("staging-site", "packages of web1"),
        ]


class TestHashes:
    def test_several_digests_are_allowed(self) -> None:
        """`--hash` may stand several times, over continued lines, with `=` or a space."""
        (entry,) = parsed(
            f"Django==5.2 \\\n  --hash=sha256:{DIGEST} \\\n  --hash sha256:{OTHER_DIGEST.upper()}\n"
        ).entries
        assert entry.hashes == {DIGEST, OTHER_DIGEST}

    def test_other_algorithms_serve_beside_a_sha256_only(self) -> None:
        """The log knows SHA-256, so that a SHA-512 alone could never be met."""
        (entry,) = parsed(f"Django==5.2 --hash=sha512:{DIGEST}{DIGEST} --hash=sha256:{DIGEST}").entries
        assert entry.hashes == {DIGEST}
        assert refusal(f"Django==5.2 --hash=sha512:{DIGEST}{DIGEST}") == (
            "shop.txt:1: no SHA-256 is given, and the release log has no other hashes\n  add --hash=sha256:…"
        )

    @pytest.mark.parametrize("value", ["sha256:12", "md5:0f0f", "sha256", f"sha256:{'g' * 64}"])
    def test_what_is_no_digest_is_refused(self, value: str) -> None:
        """A torn digest would make the requirement impossible to meet, without a word why."""
        assert refusal(f"Django==5.2 --hash={value}").startswith(f"shop.txt:1: --hash={value} is not a SHA-256")

    def test_a_hash_needs_a_requirement(self) -> None:
        """A forgotten backslash leaves the hash alone on its line."""
        assert refusal(f"Django==5.2\n--hash=sha256:{DIGEST}\n").startswith(
            "shop.txt:2: --hash must follow a requirement"
        )


class TestIncludes:
    def test_files_are_included_relative_to_the_one_that_includes(self) -> None:
        """`-r` and `-c` in every spelling; a constraint requires nothing."""
        files = {
            "envs/prod.txt": "-r ../base.txt\n--requirement=more.txt\n-cpins.txt\n--constraint /abs/pins.txt\n",
            "base.txt": "Django\n",
            "envs/more.txt": "gunicorn\n",
            "envs/pins.txt": "Django<6\n",
            "/abs/pins.txt": "gunicorn<24\n",
        }
        requirements = parse(["envs/prod.txt"], reader(files))
        assert [(str(entry.requirement), entry.origin) for entry in requirements.entries] == [
            ("Django", "base.txt:1"),
            ("gunicorn", "envs/more.txt:1"),
        ]
        assert [(str(entry.requirement), entry.origin) for entry in requirements.constraints] == [
            ("Django<6", "envs/pins.txt:1"),
            ("gunicorn<24", "/abs/pins.txt:1"),
        ]

    def test_a_file_may_be_included_twice(self) -> None:
        """Two files may share a third; only a circle is wrong."""
        assert lines(parsed("-r a.txt\n-r b.txt\n", a="-r c.txt\n", b="-r c.txt\n", c="Django\n")) == [
            "Django",
            "Django",
        ]

    def test_a_missing_file_is_told_with_the_line_that_wants_it(self) -> None:
        """The reader looks for a mistake in the including file first."""
        assert refusal("Django\n-r base.txt\n") == (
            "shop.txt:2: there is no file base.txt\n  -r and -c are relative to the file that has them"
        )

    def test_the_first_file_may_be_missing_too(self) -> None:
        """Then nothing includes it, and it stands for itself."""
        with pytest.raises(RequirementsError) as caught:
            parse(["gone.txt"], reader({}))
        assert str(caught.value) == "gone.txt: there is no such requirements file"

    def test_a_circle_is_refused(self) -> None:
        """Files that include each other would be read for ever."""
        assert refusal("-r a.txt\n", a="\n-r shop.txt\n") == (
            "a.txt:2: shop.txt includes itself, by way of a.txt\n  remove one of the -r or -c lines"
        )
        assert refusal("-r ./shop.txt\n").startswith("shop.txt:1: shop.txt includes itself\n")

    def test_what_is_no_text_is_refused(self) -> None:
        """A wheel given as a requirements file is not a traceback."""

        def read(_name: str) -> str:
            return b"\xff\xfe\x00".decode()

        with pytest.raises(RequirementsError, match=r"^shop\.txt: the file is not UTF-8 text\n  save it as UTF-8$"):
            parse(["shop.txt"], read)

    def test_a_file_that_cannot_be_read_is_told_with_the_reason(self) -> None:
        """Rights and folders in the place of files are the disk's own words."""

        def read(name: str) -> str:
            if name == "shop.txt":
                return "-r secret.txt"
            raise PermissionError(13, "Permission denied", name)

        with pytest.raises(RequirementsError, match=r"^shop\.txt:1: secret\.txt cannot be read: Permission denied$"):
            parse(["shop.txt"], read)

    def test_a_url_is_no_file_to_include(self) -> None:
        """Nothing is fetched while requirements are read."""
        assert "https://example.org/base.txt is not a file" in refusal("-r https://example.org/base.txt")

    def test_a_constraint_has_no_extras(self) -> None:
        """pip refuses them too: a constraint installs nothing that could have extras."""
        assert refusal("-c pins.txt", pins="Django[argon2]<6").startswith(
            "pins.txt:1: the constraint 'Django[argon2]<6' has extras"
        )


class TestOptions:
    @pytest.mark.parametrize(
        "line",
        [
            "-i https://user:secret@example.org/simple",
            "--index-url=https://example.org/simple --extra-index-url https://example.org/other",
            "-f ./wheels",
            "--find-links wheels",
            "--no-index",
            "--trusted-host example.org",
            "--only-binary :all:",
            "--no-binary=:none:",
            "--prefer-binary",
            "--use-feature=fast-deps",
        ],
    )
    def test_where_pip_would_look_does_not_matter(self, line: str) -> None:
        """Wheels come from the wheelhouse alone, so that files written for pip serve as they are; it is told."""
        requirements = parsed(f"{line}\nDjango\n")
        assert lines(requirements) == ["Django"]
        assert requirements.notes[0].startswith("shop.txt: ignored: --")
        assert "secret" not in str(requirements.notes)

    def test_all_that_was_ignored_is_told_in_one_line_a_file(self) -> None:
        """With the line of each option, also of those that belong to one requirement."""
        notes = parsed("-i https://a/\n\nDjango -C a=b\n-r b.txt\n--no-index\n", b="-f ./wheels\n").notes
        assert notes == (
            "shop.txt: ignored: --index-url (line 1), --config-settings (line 3), --no-index (line 5)",
            "b.txt: ignored: --find-links (line 1)",
        )

    @pytest.mark.parametrize(
        ("line", "hint"),
        [
            ("-e .", "editables are not deployed"),
            ("--editable=git+https://example.org/shop.git#egg=shop", "editables are not deployed"),
            ("--pre", "a pre-release is used only where a requirement names one"),
            ("-x", "pip's index options"),
            ("Django -r other.txt", "pip's index options"),
        ],
    )
    def test_what_would_change_the_plan_is_refused(self, line: str, hint: str) -> None:
        """An option that cannot be followed is not passed over in silence."""
        message = refusal(f"asgiref\n{line}\n", other="")
        assert message.startswith("shop.txt:2: ")
        assert "cannot be used here" in message
        assert hint in message

    def test_an_option_without_its_value_is_refused(self) -> None:
        """A line that was cut off."""
        assert refusal("Django\n-r\n") == "shop.txt:2: --requirement has no value\n  say --requirement VALUE"

    def test_an_open_quote_is_refused(self) -> None:
        """Options are split as a shell would; what they say may hold a password and is not repeated."""
        message = refusal("--index-url 'https://me:secret@example.org")
        assert message == "shop.txt:1: the options cannot be taken apart: No closing quotation\n  close the quote"

    def test_a_password_in_a_url_is_not_repeated(self) -> None:
        """A refused line is shown without it: messages end up in logs."""
        for line in ("git+https://me:secret@example.org/shop.git", "shop @ https://me:secret@example.org/shop.whl"):
            assert "secret" not in refusal(line)
            assert "https://…@example.org/shop" in refusal(line)


class TestVariables:
    def test_variables_are_put_in_as_pip_does(self) -> None:
        """Capitals, digits and underscores in braces, in requirements and in options."""
        environment = {"SHOP_2": "2.1", "FILE": "base"}
        files = {"shop.txt": "shop==${SHOP_2}\n-r ${FILE}.txt\n", "base.txt": "asgiref  # ${SHOP_2}\n"}
        requirements = parse(["shop.txt"], reader(files), environment=environment)
        assert lines(requirements) == ["shop==2.1", "asgiref"]

    @pytest.mark.parametrize("text", ["shop==${SHOP}", "shop==${EMPTY}", "shop==$SHOP", "shop==${shop}"])
    def test_what_is_not_set_stays(self, text: str) -> None:
        """As in pip; then the line is no requirement, and the message asks about the variable."""
        with pytest.raises(RequirementsError) as caught:
            parse([], reader({}), [text], environment={"EMPTY": "", "shop": "1"})
        assert str(caught.value).startswith(f"fabfile: {text!r} is not a requirement: ")
        assert ("is the variable set" in str(caught.value)) is ("${" in text)

    def test_values_are_not_repeated_in_messages(self) -> None:
        """A variable may hold a password: the line is shown as it is written."""
        with pytest.raises(RequirementsError) as caught:
            parse([], reader({}), ["shop @@ ${SECRET}"], environment={"SECRET": "pa55word"})
        assert "'shop @@ ${SECRET}' is not a requirement" in str(caught.value)
        assert "pa55word" not in str(caught.value)


class TestRequireHashes:
    def test_each_line_must_have_a_hash(self) -> None:
        """Wherever the option stands, in whatever file."""
        assert refusal(f"Django==5.2 --hash=sha256:{DIGEST}\nasgiref==3.8\n-r b.txt", b="--require-hashes") == (
            "shop.txt:2: 'asgiref==3.8' has no hash, but b.txt:1 has --require-hashes\n"
            "  add --hash=sha256:…, or lock the file again: fab lock"
        )

    def test_a_hash_on_another_line_of_the_project_serves(self) -> None:
        """As in pip, which takes those of constraints and of all lines together."""
        hashed = f"Django==5.2 --hash=sha256:{DIGEST}"
        requirements = parsed(f"--require-hashes\nDjango\n-c pins.txt\n{hashed}", pins=hashed)
        assert requirements.hashes_required == "shop.txt:1"

    def test_packages_of_the_fabfile_count(self) -> None:
        """pip's command line does, too."""
        files = {"shop.txt": "--require-hashes\n"}
        with pytest.raises(RequirementsError, match=r"^fabfile: 'shop' has no hash"):
            parse(["shop.txt"], reader(files), ["shop"])


class TestSeveralErrors:
    def test_all_bad_lines_are_told_at_once(self) -> None:
        """In order, each with its file and line, those of included files among them."""
        text = "Django=5\nok\n-e .\n-r b.txt\n-r gone.txt\nx @ https://e.org/x.whl\n"
        message = refusal(text, b="==1\nfine\n--pre\n")
        places = [line.partition(" ")[0] for line in message.splitlines() if not line.startswith("  ")]
        assert places == ["shop.txt:1:", "shop.txt:3:", "b.txt:1:", "b.txt:3:", "shop.txt:5:", "shop.txt:6:"]

    def test_more_than_twenty_are_counted(self) -> None:
        """A file that is something else altogether fills no screen."""
        message = refusal("=\n" * 50)
        assert message.endswith("\nand 30 more")
        assert message.count("is not a requirement") == 20


class TestLimits:
    def test_a_number_without_end_is_refused(self) -> None:
        """Python reads no number of 5,000 digits, and says so only when two versions are compared."""
        for text in (f"shop=={'1' * 5000}", f"shop ; python_version > '{'1' * 5000}'", f"shop>=1.{'0' * 101}"):
            message = refusal(text)
            assert "it has a number of more than 100 digits" in message
            assert len(message) < 300

    def test_a_long_line_is_refused(self) -> None:
        """And shown by its beginning."""
        message = refusal(f"shop[{','.join(f'x{number}' for number in range(5000))}]")
        assert "it is longer than 10,000 characters" in message
        assert len(message) < 300

    def test_nested_markers_are_refused(self) -> None:
        """packaging's parser calls itself for each parenthesis."""
        assert "more than 50 parentheses" in refusal(f"shop ; {'(' * 2000}os_name=='posix'{')' * 2000}")

    def test_a_chain_of_files_ends(self) -> None:
        """Of 1,200 files that include each other one error comes, not a traceback."""
        files = {"shop.txt": "-r 0.txt"} | {f"{number}.txt": f"-r {number + 1}.txt" for number in range(1200)}
        with pytest.raises(RequirementsError) as caught:
            parse(["shop.txt"], reader(files))
        assert str(caught.value) == "49.txt:1: files include each other more than 50 deep\n  include fewer files"

    def test_files_that_double_what_they_include_end(self) -> None:
        """Thirty files, each of which includes the next twice, would be a thousand million."""
        files = {"shop.txt": "-r 0.txt"} | {f"{number}.txt": f"-r {number + 1}.txt\n" * 2 for number in range(30)}
        with pytest.raises(RequirementsError, match=r"files include each other more than 2,000 times"):
            parse(["shop.txt"], reader({**files, "30.txt": "Django\n"}))

    def test_requirements_without_end_are_refused(self) -> None:
        """A file is bounded by whoever reads it, what it is included into is not."""
        files = {"shop.txt": "-r a.txt\n" * 20, "a.txt": "Django\n" * 5000}
        with pytest.raises(RequirementsError, match=r"^a\.txt:1: there are more than 50,000 requirements"):
            parse(["shop.txt"], reader(files))

    def test_a_line_of_spaces_takes_no_time(self) -> None:
        """A comment is looked for in a time that grows with the line, not with its square."""
        began = time.monotonic()
        assert lines(parsed(f"Django{' ' * 1_000_000}# why\n")) == ["Django"]
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize("name", ["a\0b.txt", "\ud800.txt"])
    def test_what_cannot_be_a_path_is_refused(self, name: str) -> None:
        """With a message that can be printed."""

        def read(file: str) -> str:
            return f"-r {name}" if file == "shop.txt" else Path(file).read_text()

        with pytest.raises(RequirementsError) as caught:
            parse(["shop.txt"], read)
        assert "cannot be the name of a file" in str(caught.value)
        assert str(caught.value).isascii()


class TestRefusals:
    @pytest.mark.parametrize(
        "line",
        [
            "https://example.org/shop-2.1-py3-none-any.whl",
            "git+https://example.org/shop.git",
            "shop @ https://example.org/shop-2.1-py3-none-any.whl",
            "./dist/shop-2.1-py3-none-any.whl",
            "/srv/dist/shop-2.1.tar.gz",
            "shop-2.1-py3-none-any.whl",
            "file:///srv/dist/shop.zip",
            "../shop",
        ],
    )
    def test_files_and_urls_are_refused(self, line: str) -> None:
        """What is deployed is a logged wheel, known by its name."""
        message = refusal(f"Django\n{line}\n")
        assert message.startswith("shop.txt:2: ")
        assert message.endswith(
            "wheels of the wheelhouse are deployed: add the wheel with add_wheel and require it by name"
        )

    @pytest.mark.parametrize(
        "line", ["Django=5.2", "Django==", "Django 5.2", "Django=>5", "==5.2", 'a ; python == "3"']
    )
    def test_a_malformed_line_is_refused(self, line: str) -> None:
        """File, line, the text itself, and how to write it: two lines."""
        message = refusal(f"# first\n{line}\n")
        assert message.startswith(f"shop.txt:2: {line!r} is not a requirement: ")
        assert message.endswith("\n  write NAME, NAME==VERSION or NAME>=VERSION")
        assert message.count("\n") == 1

    def test_a_line_of_the_fabfile_is_refused_like_one_of_a_file(self) -> None:
        """Where it stands is whatever the caller says."""
        with pytest.raises(RequirementsError, match=r"^packages of web1: 'Django=5' is not a requirement"):
            parse([], reader({}), ["Django=5"], "packages of web1")

    def test_packages_include_no_files(self) -> None:
        """There is no file that a path could be relative to."""
        with pytest.raises(RequirementsError, match=r"^fabfile: --requirement cannot be used here"):
            parse([], reader({}), ["-r base.txt"])


names = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}[A-Za-z0-9]", fullmatch=True)
versions = st.builds(".".join, st.lists(st.integers(0, 99).map(str), min_size=1, max_size=3))
specifiers = st.builds(
    ",".join, st.lists(st.builds("{}{}".format, st.sampled_from(["==", ">=", "<", "!="]), versions), max_size=2)
)
markers = st.sampled_from(["", ' ; python_version < "3.9"', ' ; sys_platform == "linux" and extra == "x"'])
extras = st.sampled_from(["", "[fast]", "[fast,web]"])
requirement_texts = st.builds("{}{}{}{}".format, names, extras, specifiers, markers)
digests = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=2)
breaks = st.sampled_from([" ", " \\\n   "])


@given(st.lists(st.tuples(requirement_texts, digests, breaks, st.sampled_from(["", "  # why", "\n# why", "\n"]))))
def test_what_is_written_is_what_is_read(drawn: Sequence[tuple[str, list[str], str, str]]) -> None:
    """Requirements come back in order with their hashes and lines, however they are continued and commented."""
    text = ""
    expected = []
    for requirement, allowed, between, after in drawn:
        expected.append((Requirement(requirement), frozenset(allowed), f"shop.txt:{text.count(chr(10)) + 1}"))
        text += between.join([requirement, *(f"--hash=sha256:{digest}" for digest in allowed)]) + after + "\n"
    read = parsed(text).entries
    assert [(entry.requirement, entry.hashes, entry.origin) for entry in read] == expected


@given(st.text(alphabet=string.printable + "é€\u2028\x85\ufeff"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a `RequirementsError` with a line comes out of text that is no requirements file."""
    try:
        parsed(text)
    except RequirementsError as error:
        refused = error
    else:
        return
    for one in refused.errors if isinstance(refused, SeveralErrors) else (refused,):
        assert one.where.startswith("shop.txt:")
        assert str(one).count("\n") <= 1
