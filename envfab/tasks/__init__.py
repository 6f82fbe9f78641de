"""Fabric tasks: they turn arguments into a call of the other rooms, and print its result."""
