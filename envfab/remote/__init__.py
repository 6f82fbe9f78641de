"""Access to hosts: connections, processes on them, and the agent that runs in a virtualenv."""
