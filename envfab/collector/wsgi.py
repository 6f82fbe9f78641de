"""The application for WSGI servers, set up by `ENVFAB_COLLECTOR_…` variables."""

from __future__ import annotations

import os

from envfab.collector.app import create_app
from envfab.collector.config import from_environment

application = create_app(from_environment(os.environ))
