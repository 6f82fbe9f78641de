"""Registering virtualenvs at servers: package lists by Difio's protocol, and bills of materials."""
