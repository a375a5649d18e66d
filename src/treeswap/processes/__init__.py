"""Running a release's processes: one contract, and what keeps it.

seam.py         Unit, ProcessManager: the contract
running.py      what a definition becomes for one unit: words, environment, directory, socket
envfile.py      the files of NAME=VALUE that a definition names
owner.py        whom they run as
choosing.py     which manager a site gets
systemd.py      units of systemd, the system's or a user's own; unitfiles.py has their names and texts
supervisor.py   a supervisord of the site's own; supervisord.py has its configuration and daemon, unixrpc.py the line
family.py       all that a program started, as /proc tells

A process is started as `treeswap exec --site SITE --release ID --process NAME --instance N`, so that whatever
restarts it, the machine's boot included, finds the definition that was sealed with its release.
"""

from .choosing import AUTO, KINDS, detect, manager
from .running import Running, socket_path
from .seam import PROGRAM, ProcessManager, Unit

__all__ = ["AUTO", "KINDS", "PROGRAM", "ProcessManager", "Running", "Unit", "detect", "manager", "socket_path"]
