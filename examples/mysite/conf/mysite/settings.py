"""Settings of a site whose three parts lie in three places.

The apps and the static files are found, in this order:

- beside these settings in the release that the program was started with (treeswap sets TREESWAP_RELEASE for it): what
  was deployed together is used together, whatever is deployed later;
- where MYSITE_APPS and MYSITE_STATIC say: a scattered site that is run without treeswap;
- beside these settings: a checkout.
"""

import os
import sys
from pathlib import Path

CONF = Path(__file__).resolve().parents[1]


def part(name: str) -> Path:
    if release := os.environ.get("TREESWAP_RELEASE"):
        return Path(release, name).resolve()
    return Path(os.environ.get(f"MYSITE_{name.upper()}", CONF.parent / name)).resolve()


sys.path.insert(0, str(part("apps")))

DEBUG = "MYSITE_DEBUG" in os.environ
SECRET_KEY = os.environ.get("MYSITE_SECRET_KEY", "this example keeps no secrets")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = ["django.contrib.staticfiles", "bakery"]
MIDDLEWARE = [
    "bakery.release.named",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [CONF / "templates"]}]
DATABASES: dict[str, dict[str, str]] = {}

STATIC_URL = "/static/"
STATICFILES_DIRS = [part("static")]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
