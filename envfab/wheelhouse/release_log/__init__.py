"""The append-only text file of what came into the wheelhouse and where it went: its lines, how it is written, what it says."""
