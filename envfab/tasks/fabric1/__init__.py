"""Fabric 1's task arguments on Fabric 3."""
