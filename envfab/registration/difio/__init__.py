"""Registration by Difio's protocol: package lists."""
