"""The append-only text file of what came into the wheelhouse and where it went: lines, file, meaning."""
