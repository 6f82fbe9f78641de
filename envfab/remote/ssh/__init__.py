"""SSH as OpenSSH does it: its configuration, its keys, its ways to a host."""
