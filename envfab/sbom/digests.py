"""Digests of installed distributions: those of the wheels that they were installed from, as the release log says."""

from __future__ import annotations

from packaging.utils import NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.models.distribution import Distribution, Origin
from envfab.util.versions import version_or_none
from envfab.wheelhouse.release_log.records import InstallRecord
from envfab.wheelhouse.release_log.view import LogText


class Digests:
    """The digests of installed distributions in the release log, which is read once for all targets."""

    def __init__(self, log: LogText) -> None:
        self._log = log
        self._installed: dict[str, dict[NormalizedName, str]] = {}
        for record in log.records():
            if isinstance(record, InstallRecord):
                name = canonicalize_name(record.filename.partition("-")[0])
                self._installed.setdefault(record.target, {})[name] = record.filename

    def sha256(self, target: Target, there: Distribution) -> str | None:
        """The SHA-256 of the wheel that a distribution was installed from; None where the log does not say which.

        The wheel is the one that was last logged as installed there, else the only one of that version.
        """
        if there.origin is not Origin.WHEEL or there.version is None:
            return None
        logged = {
            filename: one.sha256
            for filename, one in self._log.wheels(there.name).items()
            if version_or_none(one.version) == there.version
        }
        # lines of older tools have no owner
        for spelling in (str(target), f"{target.host}:{target.path}"):
            filename = self._installed.get(spelling, {}).get(there.name)
            if filename in logged:
                return logged[filename]
        return next(iter(logged.values())) if len(set(logged.values())) == 1 else None
