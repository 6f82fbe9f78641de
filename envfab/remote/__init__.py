"""What is there: reaching hosts, and speaking with the agent that runs in a virtualenv."""
