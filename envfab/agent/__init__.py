"""The program that runs on the managed side: standard library only, CPython 2.7 and 3.6 or newer.

It is never installed there. `remote.agent_sources` sends the sources of these modules over the channel, and the
loader turns them into modules of a package `envfab_agent` in memory; `protocol` serves requests until the
channel ends. Each module offers `OPERATIONS`, a mapping of names to functions of (agent, request, body)
that return the reply; what fails in a foreseen way raises `protocol.Problem`.
"""
