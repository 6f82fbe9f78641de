"""Software bills of materials: what a virtualenv consists of, for other programs."""
