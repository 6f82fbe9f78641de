"""Django's settings for the guest book; what differs between machines comes from the environment."""

from __future__ import annotations

import os
import secrets

# A new key at every start logs nobody out: the guest book has no accounts.
SECRET_KEY = os.environ.get("DEMO_SITE_SECRET_KEY") or secrets.token_hex()
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
ROOT_URLCONF = "demo_site.urls"
WSGI_APPLICATION = "demo_site.wsgi.application"
INSTALLED_APPS = ["demo_site"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DEMO_SITE_DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
