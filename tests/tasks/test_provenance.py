"""Provenances of wheels (PEP 740), by the real program: kept, verified, compared with those of earlier releases."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envfab.fetch.bundle import write_bundle
from tests.support.faulty_index import Server, faulty
from tests.support.provenances import ATTESTED, WITHOUT_LIBRARY, provenance
from tests.support.wheels import make_wheel, sha256
from tests.support.workplace import Workplace

JSON = "application/vnd.pypi.integrity.v1+json"
FIRST, SECOND = "shop-1.0-py3-none-any.whl", "shop-2.0-py3-none-any.whl"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An index with shop 1.0 and 2.0, which were published from one repository."""
    folder = tmp_path / "there"
    wheels = [make_wheel(folder, "shop", version) for version in ("1.0", "2.0")]
    with faulty(folder) as running:
        running.page = name_provenances
        for wheel in wheels:
            publish(running, wheel)
        yield running


def name_provenances(page: dict[str, Any]) -> None:
    """Let the index name a provenance for each file."""
    for file in page["files"]:
        file["provenance"] = f"../../integrity/{file['filename']}"


def publish(server: Server, wheel: Path, repository: str = "acme/shop", **publisher: Any) -> None:
    """Let the index have the provenance of a wheel."""
    answer(server, wheel.name, json.dumps(provenance(sha256(wheel), repository, **publisher)).encode())


def answer(server: Server, filename: str, content: bytes, status: int = 200, kind: str = JSON) -> None:
    """Let the index answer when it is asked for a provenance."""
    server.answers[f"/integrity/{filename}"] = (status, kind, content)


@pytest.fixture
def unverified(workplace: Workplace) -> Workplace:
    """A folder where fab runs without pypi-attestations."""
    without_library(workplace)
    return workplace


def without_library(workplace: Workplace, settings: str = "") -> None:
    """Write a fabfile with which fab does not find pypi-attestations."""
    workplace.fabfile("", settings)
    fabfile = workplace.folder / "fabfile.py"
    fabfile.write_text(WITHOUT_LIBRARY + fabfile.read_text())


def provided(server: Server, filename: str) -> Path:
    """A wheel of the index, with its provenance beside it."""
    wheel = server.folder / filename
    wheel.with_name(f"{filename}.provenance").write_bytes(server.answers[f"/integrity/{filename}"][2])
    return wheel


def kept(workplace: Workplace) -> list[str]:
    """The files of the wheelhouse."""
    folder = workplace.folder / "wheels"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


class TestKept:
    """Beside the wheel, as the index gave it."""

    def test_is_shown_as_not_verified(self, unverified: Workplace, server: Server) -> None:
        """Without the library, the publisher is what the index says."""
        done = unverified.fab("fetch_wheels", "shop<2", "--index", server.url)
        assert done.stdout == (f"added    shop 1.0   {FIRST}   from GitHub acme/shop release.yml, not verified\n"), (
            done.stderr
        )
        assert kept(unverified) == [FIRST, f"{FIRST}.provenance"]
        (one,) = unverified.json("fetch_wheels", "shop", "--index", server.url)["fetched"]
        publisher = {"kind": "GitHub", "repository": "acme/shop", "workflow": "release.yml"}
        assert (one["publishers"], one["verified"]) == ([publisher], False)

    def test_travels_in_bundles(self, unverified: Workplace, server: Server, tmp_path: Path) -> None:
        """And is kept on the other side."""
        assert unverified.fab("fetch_wheels", "shop", "--index", server.url, "--bundle", "b").returncode == 0
        other = Workplace(tmp_path / "other")
        without_library(other)
        done = other.fab("add_wheel", str(unverified.folder / "b"))
        assert done.stdout == f"added    shop 2.0   {SECOND}   from GitHub acme/shop release.yml, not verified\n"
        assert kept(other) == [SECOND, f"{SECOND}.provenance"]

    def test_is_verified_with_the_wheels(self, unverified: Workplace, server: Server) -> None:
        """One that was damaged since is a finding of verify_wheels; lists of wheels pass it over."""
        assert unverified.fab("fetch_wheels", "shop", "--index", server.url).returncode == 0
        assert unverified.fab("verify_wheels").returncode == 0
        (unverified.folder / "wheels" / f"{SECOND}.provenance").write_text("{")
        done = unverified.fab("verify_wheels")
        assert done.returncode == 2
        assert f"{SECOND}.provenance" in done.stdout
        assert f"is not the provenance of {SECOND}" in done.stdout
        assert unverified.fab("wheels").stdout.count("provenance") == 0

    def test_off_asks_for_none(self, workplace: Workplace, server: Server) -> None:
        """Where an index has broken ones."""
        workplace.fabfile("", "'provenance': 'off'")
        assert workplace.fab("fetch_wheels", "shop", "--index", server.url).returncode == 0
        assert not any("integrity" in path for path in server.asked)
        assert kept(workplace) == [SECOND]


class TestMissing:
    """A mirror names the address of a provenance that is not there, or on a server that cannot be reached."""

    @pytest.fixture(
        params=[(404, "there is nothing at this address"), (403, "answers HTTP 403"), (0, "cannot be reached")]
    )
    def missing(self, server: Server, request: pytest.FixtureRequest) -> str:
        """What is told of it."""
        status, message = request.param
        answer(server, SECOND, b"", status)
        if not status:
            server.page = name_unreachable
        return str(message)

    def test_wheels_come_in_without(self, unverified: Workplace, server: Server, missing: str) -> None:
        """With one warning."""
        done = unverified.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 0, done.stderr
        assert missing in done.stderr
        assert "; 1 wheel without the provenance that it names" in done.stderr
        assert kept(unverified) == [SECOND]

    def test_it_is_a_change_of_publisher(self, unverified: Workplace, server: Server, missing: str) -> None:
        """Where an earlier release had one."""
        unverified.add(provided(server, FIRST))
        done = unverified.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert "shop 2.0 has no provenance; 1.0 came from GitHub acme/shop release.yml" in done.stderr
        assert missing in done.stderr

    def test_verify_refuses(self, workplace: Workplace, server: Server, missing: str) -> None:
        """What cannot be had cannot be verified."""
        workplace.fabfile("", "'provenance': 'verify'")
        done = workplace.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert missing in done.stderr
        assert kept(workplace) == []


def name_unreachable(page: dict[str, Any]) -> None:
    """Let the index name a server that is not there."""
    for file in page["files"]:
        file["provenance"] = f"http://127.0.0.1:1/integrity/{file['filename']}"


class TestRefused:
    """What is not a provenance, though the index says that it is one."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"<html>Log in</html>", f"is not the provenance of {SECOND}, which the index says it is: Expecting"),
            (b" " * (300 << 10), "sends more than 262,144 bytes"),
            (json.dumps(provenance("b" * 64)).encode(), "it is about another file"),
        ],
    )
    def test_nothing_is_fetched(self, unverified: Workplace, server: Server, content: bytes, message: str) -> None:
        """One message, before the wheel is downloaded."""
        answer(server, SECOND, content)
        done = unverified.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert f"/integrity/{SECOND}: " in done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert not any(path.endswith(".whl") and "integrity" not in path for path in server.asked)

    def test_one_that_lies_beside_a_file(self, unverified: Workplace, server: Server) -> None:
        """A wheel that is added with another file's provenance stays out."""
        wheel = server.folder / SECOND
        wheel.with_name(f"{SECOND}.provenance").write_text(json.dumps(provenance("b" * 64)))
        (refused,) = unverified.json("add_wheel", str(wheel), status=1)["refused"]
        assert f"is not the provenance of {SECOND}: it is about another file" in refused["error"]


class TestChangedPublisher:
    """The wheelhouse has a provenance of an earlier release, and the next comes from elsewhere."""

    @pytest.fixture
    def earlier(self, unverified: Workplace, server: Server) -> Workplace:
        """A wheelhouse with shop 1.0 of acme/shop; shop 2.0 is evil/shop's."""
        assert unverified.fab("fetch_wheels", "shop<2", "--index", server.url).returncode == 0
        publish(server, server.folder / SECOND, "evil/shop")
        return unverified

    def test_is_refused_without_a_terminal(self, earlier: Workplace, server: Server) -> None:
        """Both publishers are told, and the flag that accepts it."""
        done = earlier.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert (
            "shop 2.0 comes from GitHub evil/shop release.yml; 1.0 came from GitHub acme/shop release.yml"
            in done.stderr
        )
        assert "shop 2.0: another publisher than that of earlier releases; that is asked about" in done.stderr
        assert "pass --yes" in done.stderr
        assert SECOND not in kept(earlier)
        assert earlier.fab("fetch_wheels", "shop", "--index", server.url, "--yes").returncode == 0
        assert SECOND in kept(earlier)

    def test_is_asked_about_at_a_terminal(self, earlier: Workplace, server: Server) -> None:
        """No means no."""
        with earlier.at_terminal("fetch_wheels", "shop", "--index", server.url) as terminal:
            terminal.expect("Take it from this publisher?  [y]es  [n]o")
            terminal.send("n")
            terminal.expect("shop 2.0: not taken")
        assert SECOND not in kept(earlier)

    def test_none_is_a_change_too(self, earlier: Workplace, server: Server) -> None:
        """It had a publisher before."""
        server.page = None
        done = earlier.fab("fetch_wheels", "shop", "--index", server.url)
        assert done.returncode == 1
        assert "shop 2.0 has no provenance; 1.0 came from GitHub acme/shop release.yml" in done.stderr

    def test_another_run_is_not_a_change(self, earlier: Workplace, server: Server) -> None:
        """The same publisher with other claims."""
        publish(server, server.folder / SECOND, "Acme/shop", claims={"ref": "refs/tags/2.0"})
        assert earlier.fab("fetch_wheels", "shop", "--index", server.url).returncode == 0

    def test_two_that_come_in_together_are_compared(self, unverified: Workplace, server: Server) -> None:
        """Wheels of two versions, for two interpreters, when the wheelhouse has none of the project."""
        publish(server, server.folder / SECOND, "evil/shop")
        write_bundle(unverified.folder / "b", [provided(server, FIRST), provided(server, SECOND)])
        (refused,) = unverified.json("add_wheel", "b", status=1)["refused"]
        assert "shop 2.0: another publisher than that of earlier releases" in refused["error"]
        assert kept(unverified) == []

    def test_is_refused_in_bundles(self, earlier: Workplace, server: Server, tmp_path: Path) -> None:
        """The door of a wheelhouse that reaches no index."""
        elsewhere = Workplace(tmp_path / "elsewhere")
        without_library(elsewhere)
        assert elsewhere.fab("fetch_wheels", "shop", "--index", server.url, "--bundle", "b").returncode == 0
        bundle = str(elsewhere.folder / "b")
        (refused,) = earlier.json("add_wheel", bundle, status=1)["refused"]
        assert "shop 2.0: another publisher than that of earlier releases" in refused["error"]
        assert earlier.fab("add_wheel", bundle, "--yes").returncode == 0

    def test_what_is_there_already_is_not_asked_about(self, earlier: Workplace, server: Server) -> None:
        """A bundle that holds an older wheel, too, of the publisher before a change that was accepted."""
        assert earlier.fab("fetch_wheels", "shop", "--index", server.url, "--yes").returncode == 0
        write_bundle(earlier.folder / "b", [provided(server, FIRST)])
        assert earlier.json("add_wheel", "b")["added"][0]["outcome"] == "present"

    def test_a_person_vouches_for_a_file(self, earlier: Workplace, server: Server) -> None:
        """A wheel that is added by hand, without a provenance, is taken."""
        assert earlier.fab("add_wheel", str(server.folder / SECOND)).returncode == 0


class TestVerified:
    """A real wheel of PyPI and its provenance, verified by pypi-attestations, offline."""

    @pytest.fixture
    def index(self) -> Iterator[Server]:
        """An index with that wheel."""
        with faulty(ATTESTED.parent) as running:
            running.page = name_provenances
            answer(running, ATTESTED.name, ATTESTED.with_name(f"{ATTESTED.name}.provenance").read_bytes())
            yield running

    FETCH = ("fetch_wheels", "circleci-sign-publish-example==0.0.1.dev137", "--index")

    def test_what_its_publisher_signed_is_verified(self, workplace: Workplace, index: Server) -> None:
        """The line says so, and nothing else is printed."""
        workplace.fabfile("", "'provenance': 'verify'")
        done = workplace.fab(*self.FETCH, index.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(", verified\n")
        assert "TUF" not in done.stderr
        assert kept(workplace) == [ATTESTED.name, f"{ATTESTED.name}.provenance"]

    def test_another_publisher_beside_the_signature_is_refused(self, workplace: Workplace, index: Server) -> None:
        """The index says who published; the certificate says otherwise."""
        document = json.loads(index.answers[f"/integrity/{ATTESTED.name}"][2])
        document["attestation_bundles"][0]["publisher"]["project_id"] = "fdd9283f-0000-46af-8f9c-851f7d3e8b2b"
        answer(index, ATTESTED.name, json.dumps(document).encode())
        self.refused(workplace, index, "its provenance cannot be verified: Verification failed: ")

    def test_a_signature_that_is_not_one_is_refused(self, workplace: Workplace, index: Server) -> None:
        """Of a provenance that is sound in form."""
        document = provenance(sha256(ATTESTED))
        answer(index, ATTESTED.name, json.dumps(document).encode())
        message = "attestation_bundles.0.attestations.0.verification_material.certificate: Field required"
        self.refused(workplace, index, message)

    def test_another_file_with_the_same_provenance_is_refused(
        self, workplace: Workplace, index: Server, tmp_path: Path
    ) -> None:
        """A changed wheel, and a statement that is changed to fit: its signature does not fit any more."""
        folder = tmp_path / "there"
        wheel = make_wheel(folder, "circleci_sign_publish_example", "0.0.1.dev137")
        document = json.loads(index.answers[f"/integrity/{ATTESTED.name}"][2])
        envelope = document["attestation_bundles"][0]["attestations"][0]["envelope"]
        statement = base64.b64decode(envelope["statement"]).replace(sha256(ATTESTED).encode(), sha256(wheel).encode())
        envelope["statement"] = base64.b64encode(statement).decode()
        index.folder = folder
        answer(index, ATTESTED.name, json.dumps(document).encode())
        self.refused(workplace, index, "its provenance cannot be verified: Verification failed: ")

    def test_without_the_library_it_cannot_be_verified(self, workplace: Workplace, index: Server) -> None:
        """Where the setting wants it."""
        without_library(workplace, "'provenance': 'verify'")
        self.refused(workplace, index, "provenance is verify, and the library pypi-attestations is not installed")

    def refused(self, workplace: Workplace, index: Server, message: str) -> None:
        done = workplace.fab(*self.FETCH, index.url)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert kept(workplace) == []
