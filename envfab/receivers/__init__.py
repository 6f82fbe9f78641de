"""Delivery of events and rollouts to what a fabfile names for them: web servers, commands and collectors."""
