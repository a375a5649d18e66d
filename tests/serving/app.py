"""The application of these tests: it tells which code answers, and which files that code reads while it does.

What it does wrong is said by files beside it: `sick` answers /up with 503, `liar` names another release than its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CODE = (HERE / "version").read_text()
RELEASE = os.environ["TREESWAP_RELEASE_ID"]


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    sick = environ["PATH_INFO"] == "/up" and (HERE / "sick").exists()
    named = "20200101000000" if (HERE / "liar").exists() else RELEASE
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    conf = Path(os.environ["TREESWAP_RELEASE"], "conf/version").read_text()
    body = f"{CODE} {(HERE / 'version').read_text()} {conf} {os.environ.get('SECRET', '')}".encode()
    start_response("503 Sick" if sick else "200 OK", [("X-Release", named), ("Content-Length", str(len(body)))])
    return [body]
