"""Tests of the benchmark beside the peers."""
