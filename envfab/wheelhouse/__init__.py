"""The wheelhouse: the wheels directory, the release log, and the validation of every wheel that is added."""
