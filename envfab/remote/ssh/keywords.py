"""The keywords of ssh_config(5), and the values that Paramiko and OpenSSH read alike."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PATH = r"(?:~/)?[A-Za-z0-9._/@+,:=-]+"
_WORD = re.compile(r"[A-Za-z0-9._@+-]+")
_PATHS = re.compile(rf"{_PATH}(?:[ \t]+{_PATH})*")
_YES_OR_NO = re.compile(r"yes|no")

# patterns of values that both read alike, by keyword; None: only OpenSSH reads the keyword correctly
PLAIN: Mapping[str, re.Pattern[str] | None] = {
    "hostname": re.compile(r"(?!-)(?:[A-Za-z0-9._:-]|%h)+"),
    "user": _WORD,
    "port": re.compile(r"[1-9][0-9]{0,3}|[1-5][0-9]{4}"),
    "identityfile": re.compile(rf"(?!none$){_PATH}", re.IGNORECASE),
    "identitiesonly": _YES_OR_NO,
    "pubkeyauthentication": _YES_OR_NO,
    "proxyjump": re.compile(r"[A-Za-z0-9._@:,\[\]/-]+"),
    "proxycommand": re.compile(r'(?!")(?:[^%~]|%[hpr])*'),
    "userknownhostsfile": _PATHS,
    "globalknownhostsfile": _PATHS,
    "hostkeyalias": re.compile(r"[A-Za-z0-9._:-]+"),
    "stricthostkeychecking": re.compile(r"yes|no|ask|accept-new|off"),
    "connecttimeout": re.compile(r"[1-9][0-9]{0,5}"),
    "identityagent": None,
    "certificatefile": None,
    "canonicalizehostname": None,
    "ciphers": None,
    "macs": None,
    "kexalgorithms": None,
    "hostkeyalgorithms": None,
    "pubkeyacceptedalgorithms": None,
    "pubkeyacceptedkeytypes": None,
}

# fmt: off
KEYWORDS = frozenset((
    *PLAIN,
    "addkeystoagent", "addressfamily", "batchmode", "bindaddress", "bindinterface", "canonicaldomains",
    "canonicalizefallbacklocal", "canonicalizemaxdots", "canonicalizepermittedcnames", "casignaturealgorithms",
    "challengeresponseauthentication", "channeltimeout", "checkhostip", "clearallforwardings", "compression",
    "connectionattempts", "controlmaster", "controlpath", "controlpersist", "dynamicforward",
    "enableescapecommandline", "enablesshkeysign", "escapechar", "exitonforwardfailure", "fingerprinthash",
    "forkafterauthentication", "forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports",
    "gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "hostbasedacceptedalgorithms",
    "hostbasedauthentication", "hostbasedkeytypes", "ipqos", "kbdinteractiveauthentication", "kbdinteractivedevices",
    "localcommand", "localforward", "loglevel", "logverbose", "nohostauthenticationforlocalhost",
    "numberofpasswordprompts", "passwordauthentication", "permitlocalcommand", "permitremoteopen",
    "preferredauthentications", "rekeylimit", "remotecommand", "remoteforward", "requesttty", "requiredrsasize",
    "sendenv", "serveralivecountmax", "serveraliveinterval", "sessiontype", "setenv", "stdinnull",
    "streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tcpkeepalive", "tunnel", "tunneldevice",
    "updatehostkeys", "verifyhostkeydns", "visualhostkey", "xauthlocation",
))
# fmt: on
