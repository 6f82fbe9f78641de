"""Plans are shown, and the user asked about them, as hosts respond."""

from __future__ import annotations

from collections.abc import Sequence

from invoke.exceptions import Exit

from envfab.config.target import Target
from envfab.deployment.proposal import Proposal
from envfab.deployment.propose import Proposals
from envfab.planning.plan import Status
from envfab.remote.probe import hosts_of
from envfab.tasks.output.console import Console
from envfab.tasks.output.plans import alike, likeness, show_group

# seconds without a further host after which the first question is asked
GRACE = 1.0
NAMED = 3
NOTHING = "nothing was done"


def show(console: Console, proposals: Sequence[Proposal]) -> None:
    """Print all plans, each once for all virtualenvs that have it."""
    for group in alike(proposals):
        console.print(show_group(group))


def agree(console: Console, proposals: Proposals, yes: bool, what: str = "Deploy to") -> list[Proposal]:
    """Show all plans; return those with changes that the user agrees to (all, with `yes`), in the members' order.

    Raises `Exit` where the user quits.
    """
    if yes:
        show(console, proposals.all())
        return [proposal for proposal in proposals.all() if proposal.plan.status is Status.CHANGES]
    try:
        return _Dialogue(console, proposals, what).agreed()
    except KeyboardInterrupt:
        # first the end of the line in which the terminal shows ^C
        console.note(f"\n{NOTHING}")
        raise


class _Dialogue:
    """Shows and asks what is ready while others still connect; every plan and every virtualenv comes up once."""

    def __init__(self, console: Console, proposals: Proposals, what: str) -> None:
        self._console = console
        self._proposals = proposals
        self._what = what
        self._agreed: set[Target] = set()
        # the plans that the user answered "all" to
        self._all_of: set[str] = set()

    def agreed(self) -> list[Proposal]:
        """Those that were agreed to, once nothing is left to ask."""
        for batch in self._proposals.batches(None if self._console.as_json else GRACE, self._settled):
            show(self._console, batch)
            self._say_who_is_missing()
            for group in alike([proposal for proposal in batch if proposal.plan.status is Status.CHANGES]):
                self._ask(group)
            self._console.go_on()
        return [proposal for proposal in self._proposals.all() if proposal.plan.target in self._agreed]

    def _settled(self, proposal: Proposal) -> bool:
        if proposal.plan.status is not Status.CHANGES or likeness(proposal) not in self._all_of:
            return False
        self._agreed.add(proposal.plan.target)
        self._console.print(f"{proposal.plan.target}   the same plan, already agreed to", "dim")
        self._console.go_on()
        return True

    def _say_who_is_missing(self) -> None:
        missing = self._proposals.missing
        if missing:
            names = hosts_of(missing)
            shown = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
            count = f"{len(missing)} of {len(self._proposals.members)}"
            self._console.print(f"{count} still connecting: {shown}", "dim")

    def _ask(self, group: Sequence[Proposal]) -> None:
        pending = list(group)
        while pending:
            answers = ("yes", "no", *self._all(len(pending)), "quit")
            answer = self._console.ask(f"{self._what} {pending[0].plan.target}?", answers)
            if answer == "quit":
                raise Exit(NOTHING, code=1)
            asked = [pending.pop(0)]
            if answer == "all":
                self._all_of.add(likeness(asked[0]))
                asked += pending
                pending = []
            if answer in ("yes", "all"):
                self._agreed |= {proposal.plan.target for proposal in asked}

    def _all(self, pending: int) -> tuple[str, ...]:
        if self._proposals.missing:
            return ("all with this plan, later ones too",)
        return (f"all {pending} with this plan",) if pending > 1 else ()
