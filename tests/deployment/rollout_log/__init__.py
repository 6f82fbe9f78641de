"""Tests of envfab.deployment.rollout_log."""
