"""Tests of envfab.deployment.events."""
