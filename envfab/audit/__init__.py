"""Known vulnerabilities, out of an OSV export on disk."""
