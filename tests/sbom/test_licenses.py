"""Licences: what METADATA says in three ways, as expressions where it is certain, and as names where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from envfab.models.materials import DistributionMaterials
from envfab.sbom.license_classifiers import OSI, SPDX_IDS
from envfab.sbom.licenses import License, licenses_of, reference

MIT = f"{OSI} :: MIT License"
BSD = f"{OSI} :: BSD License"
APACHE = f"{OSI} :: Apache Software License"


def known(expression: str | None = None, text: str | None = None, *classifiers: str) -> tuple[list[str], str]:
    """(the licences: expressions, and names in brackets; what told them)."""
    found = licenses_of(DistributionMaterials(expression, text, classifiers))
    return [one.expression or f"[{one.name}]" for one in found.all], found.source


@pytest.mark.parametrize(
    ("said", "licenses", "source"),
    [
        (("mit or apache-2.0", "BSD", MIT), ["MIT OR Apache-2.0"], "License-Expression"),
        (("LicenseRef-Ours AND MIT",), ["LicenseRef-Ours AND MIT"], "License-Expression"),
        (("Our own",), [], "License-Expression is not valid"),
        (("Our own", None, MIT), ["MIT"], "Classifier"),
        ((None, "BSD", MIT), ["MIT"], "Classifier"),
        ((None, None, MIT, f"{OSI} :: Mozilla Public License 2.0 (MPL 2.0)"), ["MIT", "MPL-2.0"], "Classifier"),
        ((None, None, OSI, BSD), ["[BSD License]"], "Classifier"),
        ((None, "BSD-3-Clause", BSD), ["BSD-3-Clause"], "License"),
        ((None, "Apache 2.0", APACHE), ["[Apache Software License]"], "Classifier"),
        ((None, "Apache-2.0"), ["Apache-2.0"], "License"),
        ((None, "Apache  License\n 2.0"), ["[Apache License 2.0]"], "License"),
        ((None, "UNKNOWN"), [], "METADATA names none"),
        ((None, " "), [], "METADATA names none"),
        ((None, None, OSI), [], "METADATA names none"),
        ((None, "Permission is hereby granted, " * 9), [], "METADATA has a text without a name"),
        ((None, "(" * 1000), [], "METADATA has a text without a name"),
    ],
)
def test_the_surest_statement_counts(said: tuple[str, ...], licenses: list[str], source: str) -> None:
    """License-Expression, then classifiers that stand for one licence, then the text; nothing is guessed."""
    assert known(*said) == (licenses, source)


@pytest.mark.parametrize(
    "name",
    [
        *("Apache Software License", "BSD License", "Artistic License", "GNU Affero General Public License v3"),
        *("GNU General Public License v2 (GPLv2)", "GNU Lesser General Public License v3 (LGPLv3)"),
        *("GNU Lesser General Public License v2 or later (LGPLv2+)", "Academic Free License (AFL)"),
    ],
)
def test_what_pep_639_calls_ambiguous_has_no_identifier(name: str) -> None:
    """Which version or variant is meant cannot be known."""
    assert known(None, None, f"{OSI} :: {name}") == ([f"[{name}]"], "Classifier")


def test_the_table_has_identifiers_of_spdx() -> None:
    """Spelled as SPDX spells them."""
    assert {one: str(canonicalize_license_expression(one)) for one in SPDX_IDS.values()} == {
        one: one for one in SPDX_IDS.values()
    }


@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.lists(st.sampled_from([MIT, BSD, "License :: Ünsinn :: X", "License ::", "License :: "])),
)
def test_whatever_metadata_says_is_read(expression: str, text: str, classifiers: list[str]) -> None:
    """What is an expression is one of SPDX; every name is short."""
    for one in licenses_of(DistributionMaterials(expression, text, tuple(classifiers))).all:
        assert one == License(one.expression) or one.name
        assert len(one.name or "") <= 100
        if one.expression is not None:
            assert canonicalize_license_expression(one.expression)


def test_names_alike_have_references_of_their_own() -> None:
    """What is left of a name in a reference may be the same, or nothing."""
    references = {reference(name) for name in ("BSD", "BSD!", "ü", "é", "x" * 99, "x" * 100)}
    assert len(references) == 6
    assert all(canonicalize_license_expression(one) for one in references)
