"""The agent, which runs on hosts: standard library only, CPython 2.7 and 3.6 or newer, PyPy.

It is never installed there. `remote.agent_sources` sends the sources of these modules over the connection, and the
loader makes them modules of a package `envfab_agent` in memory; `protocol` serves requests until the connection ends.
A module with operations has `OPERATIONS`, which maps their names to functions of (agent, request, body) that return
the reply, or raise `protocol.Problem` for foreseen failures.
"""
