"""Requirements files: what is read, what is passed over, and what is refused with its line."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envfab.errors import RequirementsError
from envfab.facts.requirements import Requirements, parse

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
        assert "no requirement" in refusal("Django#5\n")

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
            "shop.txt:1: the release log knows SHA-256 only, and none is given\n  add --hash=sha256:…"
        )

    @pytest.mark.parametrize("value", ["sha256:12", "md5:0f0f", "sha256", f"sha256:{'g' * 64}"])
    def test_what_is_no_digest_is_refused(self, value: str) -> None:
        """A torn digest would make the requirement impossible to meet, without a word why."""
        assert refusal(f"Django==5.2 --hash={value}").startswith(f"shop.txt:1: --hash={value} is no SHA-256")

    def test_a_hash_needs_a_requirement(self) -> None:
        """A forgotten backslash leaves the hash alone on its line."""
        assert refusal(f"Django==5.2\n--hash=sha256:{DIGEST}\n").startswith(
            "shop.txt:2: --hash stands without a requirement"
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
            "shop.txt:2: there is no file base.txt\n  -r and -c are relative to the file that they stand in"
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
        assert "https://example.org/base.txt is no file" in refusal("-r https://example.org/base.txt")

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
            "--require-hashes",
        ],
    )
    def test_where_pip_would_look_does_not_matter(self, line: str) -> None:
        """Wheels come from the house alone, so that files written for pip serve as they are."""
        assert lines(parsed(f"{line}\nDjango\n")) == ["Django"]

    @pytest.mark.parametrize(
        ("line", "hint"),
        [
            ("-e .", "editables are not deployed"),
            ("--editable=git+https://example.org/shop.git#egg=shop", "editables are not deployed"),
            ("--pre", "a pre-release is taken where a requirement names one"),
            ("--use-feature=fast-deps", "pip's index options"),
            ("-x", "pip's index options"),
            ("Django -r other.txt", "pip's index options"),
            ("Django --config-settings=a=b", "pip's index options"),
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
        assert message.endswith("wheels of the house: add the wheel with add_wheel and require it by name")

    @pytest.mark.parametrize(
        "line", ["Django=5.2", "Django==", "Django 5.2", "Django=>5", "==5.2", 'a ; python == "3"']
    )
    def test_a_malformed_line_is_refused(self, line: str) -> None:
        """File, line, the text itself, and how to write it: two lines."""
        message = refusal(f"# first\n{line}\n")
        assert message.startswith(f"shop.txt:2: {line!r} is no requirement: ")
        assert message.endswith("\n  write NAME, NAME==VERSION or NAME>=VERSION")
        assert message.count("\n") == 1

    def test_a_line_of_the_fabfile_is_refused_like_one_of_a_file(self) -> None:
        """Where it stands is whatever the caller says."""
        with pytest.raises(RequirementsError, match=r"^packages of web1: 'Django=5' is no requirement"):
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
    assert refused.where.startswith("shop.txt:")
    assert str(refused).count("\n") <= 1


LOCK = """
lock-version = "1.0"
created-by = "somebody"
packages = [
    {name = "shop", version = "1.0", marker = "python_version < '3.9'", wheels = [
        {path = "shop-1.0-py3-none-any.whl", hashes = {sha256 = "AAAA", md5 = "abc"}},
        {url = "https://example.org/shop-1.0-py2-none-any.whl", hashes = {sha256 = "bbbb"}},
    ]},
]
""".replace("AAAA", "A" * 64).replace("bbbb", "b" * 64)


@pytest.mark.parametrize("name", ["pylock.toml", "locks/pylock.prod.toml"])
def test_a_lock_is_pins_with_hashes(name: str) -> None:
    """A file named as PEP 751 wants is read as a lock: versions, markers, every wheel's SHA-256."""
    (entry,) = parse([name], lambda _name: LOCK).entries
    assert str(entry.requirement) == 'shop==1.0; python_version < "3.9"'
    assert entry.hashes == {"a" * 64, "b" * 64}
    assert entry.origin == f"{name}:shop"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lock-version = ", "pylock.toml: it is no lock: "),
        ('lock-version = "1.0"', "pylock.toml: it is no lock: Missing required value in 'created-by'"),
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []', "pylock.toml: it is no lock: "),
        (
            'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "shop"\nversion = "1.0"\n'
            '[packages.sdist]\nurl = "https://example.org/shop-1.0.tar.gz"\nhashes = {sha256 = "a"}',
            "pylock.toml:shop: it is locked to something else than wheels of a version",
        ),
        (LOCK.replace("sha256", "sha3_256"), "pylock.toml:shop: none of its wheels has a SHA-256"),
    ],
)
def test_what_is_no_lock_on_wheels_is_refused(text: str, message: str) -> None:
    """Damage, a format to come, source distributions and foreign hashes are errors that name the file and the package."""
    with pytest.raises(RequirementsError) as caught:
        parse(["pylock.toml"], lambda _name: text)
    assert message in str(caught.value)
