"""Signatures by SSH keys, as `ssh-keygen -Y sign` makes them, and who may sign."""
