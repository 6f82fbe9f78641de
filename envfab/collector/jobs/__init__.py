"""The collector's work in the background."""
