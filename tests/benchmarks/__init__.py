"""Tests of the benchmarks: of what would be wrong silently."""
