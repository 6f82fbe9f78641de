"""Filling the wheelhouse: from a package index, from a bundle, from where originals are."""
