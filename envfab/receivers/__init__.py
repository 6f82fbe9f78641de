"""Delivery of events to what a fabfile names for them: web servers and commands."""
