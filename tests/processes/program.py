"""The program that managers run in these tests, in treeswap's place: a small server on the unit's socket.

Called as treeswap is: `program.py exec --site SITE --release ID --process NAME --instance N`. It answers a line:

    pids      its own, and that of the child that it keeps, which no SIGTERM ends and which leads a session of its own
    user      the user it runs as
    slow S    after S seconds; a SIGTERM meanwhile lets this end first
    end N     by ending with this code, at once
    deaf      and from then on it does not hear SIGTERM

A process called `broken` ends as soon as it starts. `program.py recover --site SITE` says when it was called.
"""

from __future__ import annotations

import argparse
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

CHILD = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('child', flush=True); time.sleep(999)"
)


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked, _, argument = self.rfile.readline().decode().strip().partition(" ")
        match asked:
            case "pids":
                self.wfile.write(f"{os.getpid()} {child.pid}".encode())
            case "user":
                self.wfile.write(str(os.geteuid()).encode())
            case "slow":
                self.wfile.write(b"wait ")
                time.sleep(float(argument))
                self.wfile.write(b"done")
            case "end":
                os._exit(int(argument))
            case "deaf":
                hears.clear()
                self.wfile.write(b"deaf")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = False  # server_close waits for those that answer


parser = argparse.ArgumentParser()
parser.add_argument("verb")
for option in ("site", "release", "process", "instance"):
    parser.add_argument(f"--{option}")
asked_for = parser.parse_args()
site = Path(asked_for.site)
if asked_for.verb == "recover":
    with (site / "recovered").open("a") as file:
        file.write(f"{time.monotonic()}\n")
    sys.exit()

hears = threading.Event()
hears.set()
print(f"{asked_for.process} {asked_for.instance} of {asked_for.release} starts", flush=True)
if asked_for.process == "broken":
    print("cannot go on", file=sys.stderr)
    sys.exit(1)
child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True, stdout=subprocess.PIPE)
assert child.stdout is not None
child.stdout.readline()
run = site / "run" / asked_for.release
run.mkdir(parents=True, exist_ok=True)
path = run / f"{asked_for.process}.{asked_for.instance}"
path.unlink(missing_ok=True)
server = Server(str(path), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start() if hears.is_set() else None)
print(f"started at {time.monotonic()}", flush=True)
server.serve_forever(poll_interval=0.02)
server.server_close()
print("ends", flush=True)
