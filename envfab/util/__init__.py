"""Foundations that every room may use: small, without knowledge of envfab's own things."""
