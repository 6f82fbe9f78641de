"""The user's choice, as a program's `Stats` follows it: made, kept, and changed by other processes."""

from __future__ import annotations

import os
from pathlib import Path

from envfab.usagestats import consent
from envfab.usagestats.quiet import quietly


class UserChoice:
    """What the user chose on statistics; `Stats` has all else."""

    ERRORED, DISABLED_ENV, DISABLED, UNSET, ENABLED = range(5)

    location: str
    env_var: str
    skip_ci: bool
    status: int
    consent: str  # the version of consent that is asked for
    _asks_again: bool = False

    @property
    def enabled(self) -> bool:
        """Whether reports are recorded: the user has opted in, or not chosen yet."""
        return self.status in (UserChoice.UNSET, UserChoice.ENABLED)

    @property
    def enableable(self) -> bool:
        """Whether `enable_reporting()` would change anything."""
        return self.status not in (UserChoice.ERRORED, UserChoice.ENABLED)

    @property
    def disableable(self) -> bool:
        """Whether `disable_reporting()` would change anything."""
        return self.status not in (UserChoice.ERRORED, UserChoice.DISABLED)

    @property
    def recording(self) -> bool:
        """The same as `enabled`."""
        return self.enabled

    @property
    def sending(self) -> bool:
        """Whether the user has opted in."""
        return self.status == UserChoice.ENABLED

    @property
    def outdated(self) -> bool:
        """Whether the user opted in, but to another version of consent: they are asked again, and nothing is sent."""
        return self._asks_again and self.status == UserChoice.UNSET

    def read_config(self) -> None:
        """Set `self.status` to what the user chose; override it to keep that in a program's own configuration.

        An overriding method leaves the status alone where it is `DISABLED_ENV`, and may set
        `self.location`, a folder where reports can be written.
        """
        if not self.enabled:
            return
        try:
            os.makedirs(self.location, 0o700, exist_ok=True)
            choice = consent.read_choice(Path(self.location))
        except OSError:
            self.status = UserChoice.ERRORED
            return
        self.status = {"ENABLED": UserChoice.ENABLED, "DISABLED": UserChoice.DISABLED}.get(choice or "", self.status)

    def write_config(self, enabled: int) -> None:
        """Keep the user's choice: `ENABLED` or `DISABLED`; `UNSET` forgets it. To override with `read_config`."""
        words = {UserChoice.ENABLED: "ENABLED", UserChoice.DISABLED: "DISABLED", UserChoice.UNSET: None}
        if enabled not in words:
            raise ValueError(f"the choice must be Stats.ENABLED, Stats.DISABLED or Stats.UNSET, not {enabled!r}")
        if not consent.write_choice(Path(self.location), words[enabled]):
            raise OSError(f"{self.location}: the choice on usage statistics cannot be written there")

    def _forbidden(self) -> bool:
        return consent.environment_forbids(os.environ, self.env_var, skip_ci=self.skip_ci)

    def _configure(self) -> bool:
        """Read the configuration; an overriding method is the program's own, and may raise anything."""
        with quietly("read the configuration of usage statistics"):
            self.read_config()
            if self.status == UserChoice.ENABLED and not consent.has_agreed(Path(self.location), self.consent):
                self.status, self._asks_again = UserChoice.UNSET, True
            return True
        return False

    def _choose(self, status: int) -> bool:
        """Take over a choice, for this run even if it cannot be kept."""
        self.status = status
        with quietly("keep the choice on usage statistics"):
            folder = Path(self.location)
            # Before the choice itself, which must never stand for a version that nobody agreed to.
            agreed = status != UserChoice.ENABLED or consent.agree(folder, self.consent)
            self.write_config(status)
            return agreed and (status != UserChoice.DISABLED or consent.forget_agreement(folder))
        return False

    def _choice_now(self) -> int | None:
        """What the file says now: another process may have changed it. None where a program keeps it elsewhere."""
        if type(self).read_config is not UserChoice.read_config:
            return None
        with quietly("read the choice on usage statistics"):
            choice = consent.read_choice(Path(self.location))
            if choice == "ENABLED" and not consent.has_agreed(Path(self.location), self.consent):
                return UserChoice.UNSET
            return {"ENABLED": UserChoice.ENABLED, "DISABLED": UserChoice.DISABLED}.get(choice or "")
        return UserChoice.DISABLED

    def _still_wanted(self) -> bool:
        return self.sending and not self._forbidden() and self._choice_now() in (UserChoice.ENABLED, None)

    def _look_again(self) -> None:
        """Follow what the environment and another process said since the report was begun."""
        if self._forbidden():
            self.status = UserChoice.DISABLED_ENV
        elif self.recording:
            choice = self._choice_now()
            self.status = self.status if choice is None else choice
