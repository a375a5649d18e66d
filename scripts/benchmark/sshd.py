"""An ssh server on a port of the loopback interface, with keys of its own, for the user who runs this."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

_RUN = Path("/run/sshd")  # where sshd, started by root, wants an empty directory
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Sshd:
    """Runs until `stop`, or until this process ends."""

    def __init__(self, room: Path) -> None:
        room.mkdir(mode=0o700)
        self.key = room / "key"
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = _free_port()
        for key in (self.key, room / "host"):
            _quietly(["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", str(key)])
        (room / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {room / 'host'}\nAuthorizedKeysFile {self.key}.pub\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            "Subsystem sftp internal-sftp\n"
        )
        if os.getuid() == 0:
            _RUN.mkdir(mode=0o755, exist_ok=True)
        self._log = (room / "log").open("w")
        program = shutil.which("sshd", path=_PATH) or "sshd"
        words = ["setpriv", "--pdeathsig", "TERM", program, "-D", "-e", "-f", str(room / "config")]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def lacks() -> str | None:
        for program in ("sshd", "ssh-keygen", "setpriv"):
            if not shutil.which(program, path=_PATH):
                return f"{program} is not installed"
        return None

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _wait(self) -> None:
        for _ in range(200):
            if self._process.poll() is not None:
                raise OSError(f"sshd ended: {Path(self._log.name).read_text().strip()[-300:]}")
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise OSError("sshd did not answer within ten seconds")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
