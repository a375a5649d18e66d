"""Runs commands one after the other and tells what they took. A process of its own, and a small one: what wait4(2)
tells of a child's memory is at least its parent's, at the moment of the fork.

The commands come as JSON on standard input; the answer goes as JSON to standard output. The first command that fails
ends it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time


def main() -> None:
    asked = json.load(sys.stdin)
    peak = code = 0
    told = complaint = ""
    wall, began = time.time(), time.perf_counter()
    for command in asked["commands"]:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            try:
                child = subprocess.Popen(
                    command, cwd=asked["cwd"], env=asked["env"], stdin=subprocess.DEVNULL, stdout=out, stderr=errors
                )
            except OSError as error:
                code, complaint = 127, str(error)
                break
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = code = os.waitstatus_to_exitcode(status)
            peak = max(peak, usage.ru_maxrss * 1024)
            out.seek(0)
            errors.seek(0)
            told = out.read().decode(errors="replace")
            complaint = (errors.read().decode(errors="replace") or told)[-2000:]
        if code:
            break
    seconds = time.perf_counter() - began
    answer = {"seconds": seconds, "started": wall, "peak": peak, "told": told, "code": code, "complaint": complaint}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
