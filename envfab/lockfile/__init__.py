"""Lock files, solved out of the wheelhouse and written: requirements.txt with hashes, or pylock.toml."""
