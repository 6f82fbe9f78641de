"""Where wheels come from and where they go: package indexes, locks, bundles, what is newer, what is known to be bad."""
