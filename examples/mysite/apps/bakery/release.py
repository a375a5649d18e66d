"""X-Release: visitors, and whoever confirms a deploy, are told which release answers."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

RELEASE = os.environ.get("TREESWAP_RELEASE_ID", "")


def named(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if RELEASE:
            response["X-Release"] = RELEASE
        return response

    return answer
