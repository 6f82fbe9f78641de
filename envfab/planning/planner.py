"""The planner: makes a plan from the requirements, what is installed, and the wheels of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.errors import UsageError
from envfab.models.distribution import Distribution, Origin
from envfab.models.probe import Probe
from envfab.models.requirements import Entry, Requirements
from envfab.planning.blocked_reasons import explain, shown_as
from envfab.planning.candidates import Candidate, Candidates, TagsUnknown
from envfab.planning.catalogue import Catalogue
from envfab.planning.fixpoint import resolve_stable
from envfab.planning.lock_file_checks import unfit
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.plan import EVERYTHING, Action, ActionKind, Ahead, Missing, Options, Plan, Status
from envfab.planning.prune import broken_by, unrequired
from envfab.planning.reinstalls import Repair, repairs
from envfab.planning.resolution_problem import pose_problem
from envfab.planning.resolver import NoSolution, ResolutionProblem, Solution
from envfab.planning.upgrades import newer

_PLAIN = Options()


def plan(probe: Probe, requirements: Requirements, catalogue: Catalogue, options: Options = _PLAIN) -> Plan:
    """Plan how to bring a virtualenv to its requirements; the tags of the probe's interpreter must be known.

    Raises `UsageError` if `options` name a project that is neither required nor installed, or exclude each other.
    """
    planning = _Planning.of(probe, requirements, catalogue, options)
    planning.check_options()
    problems = unfit(requirements, planning.entries, planning.environment)
    if problems:
        return planning.blocked((), problems)
    outcome = resolve_stable(planning.problem)
    if isinstance(outcome, NoSolution):
        missing, conflicts = explain(outcome, planning.problem)
        return planning.blocked(missing, conflicts)
    return planning.solved(outcome)


def plan_without_tags(
    probe: Probe, requirements: Requirements, catalogue: Catalogue, options: Options = _PLAIN
) -> Plan | None:
    """Plan as `plan` does, for an interpreter whose tags are not known yet; None if the plan depends on them.

    A virtualenv that is up to date is planned without tags, which saves half the time of a probe.
    """
    try:
        return plan(probe, requirements, catalogue, options)
    except TagsUnknown:
        return None


@dataclass(frozen=True, slots=True)
class _Planning:
    """A plan being made, with all that it depends on."""

    probe: Probe
    requirements: Requirements
    options: Options
    environment: Environment
    installed: Mapping[NormalizedName, Distribution]
    entries: tuple[Entry, ...]
    candidates: Candidates
    problem: ResolutionProblem

    @classmethod
    def of(cls, probe: Probe, requirements: Requirements, catalogue: Catalogue, options: Options) -> _Planning:
        environment = Environment(probe.interpreter)
        installed = {**probe.outside, **probe.distributions}
        candidates = Candidates(environment, installed, catalogue, options.only or None)
        entries = applicable(requirements.entries, environment)
        constraints = applicable(requirements.constraints, environment)
        problem = pose_problem(entries, constraints, candidates, options)
        return cls(probe, requirements, options, environment, installed, entries, candidates, problem)

    def check_options(self) -> None:
        """Raise `UsageError` for options that name unknown projects or exclude each other."""
        known = {entry.name for entry in self.entries} | self.installed.keys()
        self._refuse("--reinstall", self.options.reinstall - known)
        # a dependency that this plan installs may be named as well; `solved` checks that
        self._refuse("--only", {name for name in self.options.only - known if not self.candidates.shelf(name)})
        self._refuse("--upgrade", {name for name in self._upgraded - known if not self.candidates.shelf(name)})
        if self.options.only:
            left_alone = sorted(self._upgraded - self.options.only)
            if left_alone:
                raise UsageError(
                    f"--upgrade {self._shown_as(left_alone[0])}: --only does not name it",
                    hint="name it in both options",
                )

    @property
    def _upgraded(self) -> frozenset[NormalizedName]:
        return self.options.upgrade - {EVERYTHING}

    def _refuse(self, option: str, unknown: Set[NormalizedName]) -> None:
        for name in sorted(unknown):
            raise UsageError(
                f"{option} {self._shown_as(name)}: it is neither required nor installed",
                where=str(self.probe.target),
                hint="check the spelling, or add it to the requirements",
            )

    def _shown_as(self, name: NormalizedName) -> str:
        """A project's name as published, if it is installed or has a wheel."""
        return shown_as(name, self.candidates)

    def blocked(self, missing: Iterable[Missing], conflicts: Iterable[str]) -> Plan:
        """Return a blocked plan, which has no actions."""
        return Plan(
            self.probe.target,
            Status.BLOCKED,
            python=str(self.probe.interpreter.version),
            missing=tuple(missing),
            conflicts=tuple(conflicts),
            warnings=tuple(self._general_warnings()),
            fingerprint=self.probe.fingerprint,
            upgrade=tuple(sorted(self.options.upgrade)),
        )

    def solved(self, solution: Solution) -> Plan:
        """Return the plan whose actions lead to `solution`."""
        self._refuse("--only", self.options.only - self.installed.keys() - solution.chosen.keys())
        self._refuse("--upgrade", self._upgraded - self.installed.keys() - solution.chosen.keys())
        actions = {action.name: action for action in self._changes(solution)}
        mending = repairs(self.probe, self.options.reinstall, self.installed, solution.chosen.keys())
        missing = []
        warnings = [*self._general_warnings(), *mending.warnings]
        for repair in mending.repairs:
            if repair.name in actions or (
                self.options.only and not repair.asked and repair.name not in self.options.only
            ):
                continue
            action = self._reinstall(repair, solution)
            if action is not None:
                actions[action.name] = action
            elif repair.asked:
                version = self.installed[repair.name].version_text
                why = "the wheelhouse has no wheel of this version that fits"
                missing.append(Missing(f"{self._shown_as(repair.name)}=={version}", "--reinstall", why))
            else:
                warnings.append(f"{repair.reason}, but the wheelhouse has no wheel to repair it with")
        if self.options.prune:
            for name in unrequired(self.probe, self.environment, solution):
                actions[name] = self._removal(name)
        broken = broken_by(actions, self.installed, self.environment, solution.chosen.keys())
        conflicts = [
            *self._without_hash(solution),
            *self._unlisted(actions),
            *([] if self.options.force else broken),
        ]
        warnings += [*self._warnings(solution, actions), *(broken if self.options.force else [])]
        status = Status.BLOCKED if missing or conflicts else Status.CHANGES if actions else Status.CURRENT
        return Plan(
            self.probe.target,
            status,
            python=str(self.probe.interpreter.version),
            actions=tuple(actions[name] for name in sorted(actions)),
            ahead=tuple(self._ahead(solution)),
            missing=tuple(missing),
            conflicts=tuple(conflicts),
            warnings=tuple(dict.fromkeys(warnings)),
            fingerprint=self.probe.fingerprint,
            newer=newer(self.problem, solution, self.options),
            upgrade=tuple(sorted(self.options.upgrade)),
            force=self.options.force,
        )

    def _changes(self, solution: Solution) -> Iterator[Action]:
        for name, candidate in solution.chosen.items():
            if candidate.wheel is None:
                continue
            there = self.probe.distributions.get(name)
            yield Action(
                _kind(there, candidate.version),
                name,
                candidate.shown_as,
                there.version_text if there else None,
                replace(candidate.wheel, shown_as=candidate.shown_as),
                self._reason(name, solution),
                tuple(parent.shown_as for parent in solution.required_by.get(name, ())),
            )

    def _reason(self, name: NormalizedName, solution: Solution) -> str:
        origins = dict.fromkeys(
            criterion.origin for criterion in self.problem.criteria if criterion.name == name and criterion.origin
        )
        if origins and list(origins) != ["--upgrade"]:
            return ", ".join(origins)
        parents = sorted(parent.shown_as for parent in solution.required_by.get(name, ()))
        reasons = [f"required by {', '.join(parents)}"] if parents else []
        if name in self.installed and (name in self._upgraded or EVERYTHING in self.options.upgrade):
            reasons.append("--upgrade")
        return ", ".join(reasons)

    def _reinstall(self, repair: Repair, solution: Solution) -> Action | None:
        there = self.probe.distributions[repair.name]
        wheel = None
        if there.version is not None:
            wheel = self.candidates.wheel_of(repair.name, there.version, self.problem.hashes.get(repair.name))
        if wheel is None:
            return None
        parents = solution.required_by.get(repair.name, ())
        return Action(
            ActionKind.REINSTALL,
            repair.name,
            there.shown_as,
            there.version_text,
            replace(wheel, shown_as=there.shown_as),
            repair.reason,
            tuple(parent.shown_as for parent in parents),
        )

    def _removal(self, name: NormalizedName) -> Action:
        there = self.probe.distributions[name]
        return Action(ActionKind.REMOVE, name, there.shown_as, there.version_text, None, "nothing requires it")

    def _ahead(self, solution: Solution) -> Iterator[Ahead]:
        """Distributions that stay and are newer than any wheel (or, if directly required, have no wheel at all)."""
        direct = {entry.name for entry in self.entries}
        for name in sorted(solution.chosen):
            candidate = solution.chosen[name]
            if candidate.wheel is not None:
                continue
            available = self._newest_there_is(name)
            if available == candidate.version or (available is None and name not in direct):
                continue
            if available is None and candidate.version in self.candidates.shelf(name):
                # it is there, and was yanked: a warning says so
                continue
            if available is None or candidate.version > available:
                yield Ahead(candidate.shown_as, str(candidate.version), str(available) if available else None)

    def _newest_there_is(self, name: NormalizedName) -> Version | None:
        """The newest version that is not yanked and, if the interpreter's tags are known, fits."""
        known = self.probe.interpreter.tags is not None
        for version, releases in self.candidates.shelf(name).items():
            standing = [release for release in releases if not release.yanked]
            if self.candidates.fitting(standing) if known else standing:
                return version
        return None

    def _unlisted(self, actions: Mapping[NormalizedName, Action]) -> Iterator[str]:
        """Distributions that the plan replaces or removes, but whose files are not known."""
        for name in sorted(actions):
            there = self.probe.distributions.get(name)
            if there is not None and there.origin is Origin.DISTUTILS:
                fate = "removed" if actions[name].wheel is None else "replaced"
                yield (
                    f"{there.shown_as} {there.version_text} cannot be {fate}: distutils lists no files of it"
                    "\n  remove its files by hand, the .egg-info last"
                )

    def _without_hash(self, solution: Solution) -> Iterator[str]:
        """Distributions to install without a hash in requirements that have `--require-hashes`."""
        if not self.requirements.hashes_required:
            return
        for name, candidate in sorted(solution.chosen.items()):
            if candidate.wheel is not None and name not in self.problem.hashes:
                why, where = self._reason(name, solution), self.requirements.hashes_required
                yield (
                    f"{candidate} ({why}) has no hash, which --require-hashes in {where} demands"
                    "\n  add it with its hashes, or lock the requirements again: fab lock"
                )

    def _general_warnings(self) -> Iterator[str]:
        yield from self.requirements.notes
        for name in sorted(self.probe.distributions):
            there = self.probe.distributions[name]
            if there.version is None:
                yield f"{there.shown_as} {there.version_text} is installed, and that is not a version by PEP 440"
        for filename in sorted(self.candidates.unreadable):
            yield f"{filename} is left out: {self.candidates.unreadable[filename]}"

    def _warnings(self, solution: Solution, actions: Mapping[NormalizedName, Action]) -> Iterator[str]:
        for name in sorted(solution.chosen):
            candidate = solution.chosen[name]
            yield from self._unknown_extras(candidate, solution)
            yield from self._yanked(candidate)
            yield from self._read_leniently(candidate)
        yield from self._beside_locks(solution)
        for name in sorted(actions):
            wheel = actions[name].wheel
            if wheel is not None and wheel.sha256 is None:
                yield f"{wheel.filename} has no hash in the release log; add_wheel logs one"
        if self.options.only:
            yield from self._held_back(solution)

    def _unknown_extras(self, candidate: Candidate, solution: Solution) -> Iterator[str]:
        for extra in sorted(solution.extras[candidate.name] - candidate.provides):
            yield f"{candidate.shown_as} {candidate.version} has no extra {extra!r}"

    def _read_leniently(self, candidate: Candidate) -> Iterator[str]:
        """Deviations from the standards that were accepted in the METADATA of a wheel to install."""
        metadata = self.candidates.metadata(candidate.wheel) if candidate.wheel is not None else None
        for note in metadata.notes if metadata is not None else ():
            yield f"{candidate.shown_as} {candidate.version}: {note}"

    def _beside_locks(self, solution: Solution) -> Iterator[str]:
        """Distributions to install that a lock file requires but does not have, though it should be complete."""
        if not self.requirements.locks:
            return
        locked = {entry.name for entry in self.entries if entry.locked is not None}
        required = {entry.name for entry in self.entries}
        for name, candidate in sorted(solution.chosen.items()):
            parents = [parent.shown_as for parent in solution.required_by.get(name, ()) if parent.name in locked]
            if candidate.wheel is not None and name not in required and parents:
                files = ", ".join(lock.name for lock in self.requirements.locks)
                yield f"{candidate} is required by {', '.join(sorted(parents))} but is not in {files}"

    def _yanked(self, candidate: Candidate) -> Iterator[str]:
        for release in self.candidates.shelf(candidate.name).get(candidate.version, ()):
            same = candidate.wheel is None or candidate.wheel.filename == release.wheel.filename
            if same and release.yanked:
                how = "is installed and" if candidate.wheel is None else "is pinned and"
                reason = f": {release.yanked_reason}" if release.yanked_reason else ""
                yield f"{candidate.shown_as} {candidate.version} {how} was yanked{reason}"
                return

    def _held_back(self, solution: Solution) -> Iterator[str]:
        """Projects that `--only` names and that could be newer if others might change, too."""
        for name in sorted(self.options.only & solution.chosen.keys()):
            chosen = solution.chosen[name]
            specifier = SpecifierSet()
            for entry in self.entries:
                if entry.name == name:
                    specifier &= entry.requirement.specifier
            best = next(self.problem.matching(name, specifier), chosen)
            if best.version > chosen.version:
                yield f"{chosen.shown_as} {best.version} conflicts with packages that --only does not name"


def _kind(there: Distribution | None, version: Version) -> ActionKind:
    if there is None:
        return ActionKind.INSTALL
    if there.version is None or version > there.version:
        return ActionKind.UPGRADE
    return ActionKind.DOWNGRADE if version < there.version else ActionKind.REINSTALL
