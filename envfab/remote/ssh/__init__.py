"""SSH as OpenSSH does it: its configuration, its keys, its jump hosts and proxy commands."""
