"""Dependency-Track's protocol: bills of materials are uploaded, and processed there."""
