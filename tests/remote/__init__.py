"""Tests of the managed side, and of the way to it."""
