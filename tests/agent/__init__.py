"""Tests of the program that runs on the managed side, on every CPython found."""
