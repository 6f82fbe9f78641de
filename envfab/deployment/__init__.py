"""Making it so: from proposals to deployments, on many virtualenvs at once."""
