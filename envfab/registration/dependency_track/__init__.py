"""Registration at Dependency-Track: bills of materials are uploaded, and processed there."""
