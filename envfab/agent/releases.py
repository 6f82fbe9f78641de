"""Signatures of releases, checked by the host's own ssh-keygen before a wheel is unpacked (PROTOCOL.sshsig)."""

from __future__ import absolute_import

import binascii
import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from calendar import timegm

from . import wheel_cache
from .files import OWN_SIGNERS, ROOT, content
from .protocol import Problem, native, text
from .subprocesses import base_environment

NAMESPACE = "release-log@envfab"
MOST = 1 << 20  # bytes of the file
# seconds after which a note that was not used is removed
FORGOTTEN = 90 * 86400
RELEASE = re.compile(r"release: \S+ (?P<filename>\S+) at .* sha256=(?P<sha256>[0-9a-f]{64}) .*signed=(?P<signed>\S+) prev=\S*$")
TOO_OLD = ("unknown option", "illegal option", "Unsupported operation", "usage: ssh-keygen")


class Unable(Exception):
    """Raised if this host cannot check signatures; its text is why."""


def check_releases(agent, request, body):
    """Check signatures of `releases` ({"sha256", "filename", "text", "signature", "signer"}) against allowed signers.

    `text` is what was signed and `signature` the signature, both in base64; `signer` is whose it is likely to be.
    These are the host's own if it has any, else `signers`. From then on, `fill` unpacks only what was found signed. In
    the answer, `refused` are [SHA-256, why], `unable` is why nothing can be checked (None if it can), `own` the path of
    the host's own signers (None if it has none). With `keep` it is noted what was signed, so that it is not checked again.
    """
    path = agent.path = native(request["path"])
    own = own_signers()
    signers = request["signers"].encode("utf-8", "replace") if own is None else own
    known = agent.released or set()
    answer = {"refused": [], "unable": None, "own": None if own is None else OWN_SIGNERS}
    notes = os.path.join(os.path.dirname(wheel_cache.existing(path)), "releases")
    try:
        with Checking(path, signers) as checking:
            for release in request["releases"]:
                why = None if release["sha256"] in known else refusal(checking, notes, release)
                if why is None:
                    known.add(release["sha256"])
                else:
                    answer["refused"].append([release["sha256"], why])
    except Unable as error:
        answer["unable"] = str(error)
        if own is None:
            return answer
    agent.released = known
    if request["keep"]:
        keep(path, signers, [one for one in request["releases"] if one["sha256"] in known])
    return answer


def refusal(checking, notes, release):
    """Return why a release does not count, None if it does."""
    said = RELEASE.match(signed_text(release).decode("utf-8", "replace"))
    if said is None or said.group("sha256") != release["sha256"] or said.group("filename") != release["filename"]:
        return "what is signed is not this wheel"
    if is_noted(os.path.join(notes, native(release["sha256"])), note_of(checking.signers, release)):
        return None
    return checking.refusal(release, said.group("signed"))


def signed_text(release):
    """Return what was signed, as bytes."""
    return binascii.a2b_base64(release["text"])


class Checking(object):
    """A folder with the allowed signers, for as long as signatures are checked."""

    def __init__(self, path, signers):
        self.signers = signers
        self._environment = dict(base_environment(path), LC_ALL="C", TZ="UTC")
        # what is in the virtualenv is not run
        self._environment["PATH"] = self._environment["PATH"].partition(":")[2]

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="envfab-")
        self._allowed = self._write("allowed", self.signers)
        return self

    def __exit__(self, *error):
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, name, data):
        file = os.path.join(self._folder, name)
        with open(file, "wb") as stream:
            stream.write(data)
        return file

    def refusal(self, release, signed):
        """Return why a signature does not count, None if it does; raises `Unable`."""
        armour = "-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n" % release["signature"]
        signature = self._write("signature", armour.encode("utf-8", "replace"))
        at = "-Overify-time=" + when(signed)
        where = ["-f", self._allowed, "-s", signature]
        # most often the signer is known, which saves a process
        if release["signer"] and self._verify(release, release["signer"], at, where) is None:
            return None
        status, said = self._run(["find-principals", at] + where, b"")
        principals = [line for line in said.splitlines() if line]
        if status or not principals:
            return no_signer(first_line(said))
        return self._verify(release, principals[0].split(",")[0], at, where)

    def _verify(self, release, signer, at, where):
        """Return why a signature does not count as that of a signer, None if it does; raises `Unable`."""
        status, said = self._run(["verify", at, "-n", NAMESPACE, "-I", signer] + where, signed_text(release))
        return None if status == 0 else first_line(said) or "the signature is not valid"

    def _run(self, arguments, message):
        try:
            process = subprocess.Popen(
                ["ssh-keygen", "-Y"] + [native(one) for one in arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                close_fds=True,
                env=dict((native(name), native(value)) for name, value in self._environment.items()),
                cwd="/",
            )
        except EnvironmentError as error:
            if error.errno == errno.ENOENT:
                raise Unable("it has no ssh-keygen")
            raise
        said = process.communicate(message)[0].decode("utf-8", "replace")
        if process.returncode and any(words in said for words in TOO_OLD):
            raise Unable("its ssh-keygen is older than OpenSSH 8.1")
        return process.returncode, said.replace(self._folder + os.sep, "")


def no_signer(said):
    """Return why no signer was found, of what ssh-keygen said."""
    if said and not said.startswith("No principal matched"):
        return said
    return "it was signed with a key that is not among these signers, or was not valid then"


def first_line(said):
    """Return the first line of what a program said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0] if lines else ""


def when(signed):
    """Return a time with its zone as UTC in the form of ssh-keygen; its process has the zone UTC."""
    said = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))$", signed)
    if said is None:
        return "0"
    ahead = (int(said.group(3)) * 60 + int(said.group(4))) * 60 * (-1 if said.group(2) == "-" else 1) if said.group(2) else 0
    seconds = timegm(time.strptime(said.group(1), "%Y-%m-%dT%H:%M:%S")) - ahead
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))


def own_signers():
    """Return the host's own allowed signers, None if it has none; raises `Problem` if others than root can change them."""
    if not os.path.lexists(OWN_SIGNERS):
        return None
    for place in (os.path.dirname(OWN_SIGNERS), OWN_SIGNERS):
        try:
            status = os.stat(place)
        except EnvironmentError as error:
            raise Problem("release", "cannot read %s: %s" % (place, error.strerror))
        if status.st_uid != ROOT or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Problem("release", "%s must belong to root, and only root may write to it" % place)
    data = content(OWN_SIGNERS, MOST)
    if data is None:
        raise Problem("release", "%s must be a file that can be read, and not larger than 1 MiB" % OWN_SIGNERS)
    return data


def require_released(agent, wheels):
    """Raise `Problem` if a wheel may not be unpacked, since its release was not found to be signed."""
    if agent.released is None:
        if os.path.lexists(OWN_SIGNERS):
            message = "this host installs only releases that its own signers signed (%s), and was sent no signatures" % OWN_SIGNERS
            raise Problem("release", message)
        return
    for wheel in wheels:
        if wheel["sha256"] not in agent.released:
            raise Problem("release", "the release of %s was not found to be signed" % text(native(wheel["filename"])))


def note_of(signers, release):
    """Return what is noted of a release that these signers signed."""
    signature = hashlib.sha256(release["signature"].encode("utf-8", "replace")).digest()
    return hashlib.sha256(hashlib.sha256(signers).digest() + signature + signed_text(release)).hexdigest()


def is_noted(file, note):
    """Return whether a release was found to be signed before."""
    try:
        with open(file) as stream:
            found = stream.read(len(note) + 1) == note
        if found:
            os.utime(file, None)
    except EnvironmentError:
        return False
    return found


def keep(path, signers, releases):
    """Note what was found to be signed, beside the store of wheels, and remove notes that are not used any more."""
    place = os.path.join(os.path.dirname(wheel_cache.folder(path)), "releases")
    try:
        if not os.path.isdir(place):
            os.mkdir(place, 0o700)
        for name in os.listdir(place):
            file = os.path.join(place, name)
            if os.stat(file).st_mtime < time.time() - FORGOTTEN:
                wheel_cache.discard(file)
        for release in releases:
            file = os.path.join(place, native(release["sha256"]))
            if not is_noted(file, note_of(signers, release)):
                draft = os.path.join(place, "." + wheel_cache.draft_name())
                with open(draft, "w") as stream:
                    stream.write(note_of(signers, release))
                os.rename(draft, file)
    except EnvironmentError:
        # it is checked again the next time
        return


OPERATIONS = {"check_releases": check_releases}
