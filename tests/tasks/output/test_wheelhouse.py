"""The line about the wheelhouse, and the warnings below it, by the real program."""

from __future__ import annotations

from tests.support.workplace import Workplace


def test_what_is_not_there_is_no_intact_wheelhouse(workplace: Workplace) -> None:
    """A plan names the folder or the log that is missing, and a lost wheel without which an older one is planned."""
    workplace.fabfile("")
    assert workplace.fab("plan").stdout.startswith(
        "wheelhouse  wheels · does not exist yet: fab add_wheel creates it · release_log does not exist\n"
    )
    workplace.add_made("shop", "1.0")
    workplace.add_made("shop", "1.1").unlink()
    (workplace.folder / "wheels" / "shop-1.1-py3-none-any.whl").unlink()
    done = workplace.fab("plan")
    assert done.stdout.startswith("wheelhouse  wheels · 1 wheel of 1 project\n")
    said = "shop-1.1-py3-none-any.whl is logged but missing, and the others of its project are older: see fab verify_wheels"
    assert said in done.stderr
    workplace.file("shop.in", "shop\n")
    done = workplace.fab("lock", "shop.in")
    assert said in done.stderr
    (workplace.folder / "release_log").unlink()
    assert "release_log does not exist" in workplace.fab("plan").stdout
