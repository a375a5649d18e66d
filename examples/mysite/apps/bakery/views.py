from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .bread import TODAY
from .version import VERSION


def today(request: HttpRequest) -> HttpResponse:
    """The one page. It says which version of the code, of the template and of the static files it is made from; the
    template says its own."""
    return render(request, "bakery/today.html", {"breads": TODAY, "code": VERSION, "static": static_version()})


def up(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Asked before a release is switched to, and after it: it is well."""
    return HttpResponse("up\n", content_type="text/plain")


def static_version() -> str:
    path = finders.find("version.txt")
    return Path(path).read_text().strip() if path else "none"
