"""The version of envfab."""

from __future__ import annotations

VERSION = "0.1.0"
