"""Tests of envfab.deployment.rollout_report."""
