"""Running a release's processes: one contract, and what keeps it.

seam.py         Unit, ProcessManager: the contract
running.py      what a definition becomes for one unit: words, environment, directory, socket

A process is started as `treeswap exec --site SITE --release ID --process NAME --instance N`, so that whatever
restarts it, the machine's boot included, finds the definition that was sealed with its release.
"""

from .running import Running
from .seam import ProcessManager, Unit

__all__ = ["ProcessManager", "Running", "Unit"]
