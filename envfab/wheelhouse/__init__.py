"""What we have: the wheels directory, the release log, and the inspection of every wheel that comes in."""
