"""A worker of these tests: it writes down when it begins and when it is told to end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def note(what: str) -> None:
    with Path(sys.argv[1]).open("a") as file:
        file.write(f"{os.environ['TREESWAP_RELEASE_ID']} {what}\n")


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
note("began")
signal.sigwait([signal.SIGTERM])
time.sleep(float(sys.argv[2]))
note("ended")
