"""The face: Fabric tasks that turn arguments into a call of the core, and print its result."""
