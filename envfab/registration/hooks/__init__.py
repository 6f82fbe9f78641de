"""Registering by itself: when a virtualenv is activated, or from cron."""
