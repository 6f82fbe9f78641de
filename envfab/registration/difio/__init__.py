"""Difio's protocol: what is registered of a virtualenv, and the answer."""
