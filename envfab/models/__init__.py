"""What is known: wheels, interpreters, distributions, requirements, probes. Data and parsing; no I/O."""
