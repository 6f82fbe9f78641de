"""Automatic registration: when a virtualenv is activated, or from cron."""
