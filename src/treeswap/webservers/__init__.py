"""The web servers in front of a site: one contract, and what keeps it.

seam.py       WebServer: the contract; Served, what a configuration is printed for; Running, a server that runs
watched.py    which trees of a site a path in a configuration serves, and whether it is nailed to one release
reach.py      whether a web server's user gets at the files
running.py    which servers run on this machine, as /proc tells
nginx.py      nginx; nginx_syntax.py reads its configuration, nginx_rules.py judges it
apache.py     Apache; apache_syntax.py and apache_rules.py likewise
caddy.py      Caddy; caddy_rules.py likewise

Configurations are read from the files that the running program was given, as it would read them at its next start;
nothing is run but the program's own question for its version and defaults.
"""

from .apache import Apache
from .caddy import Caddy
from .nginx import Nginx
from .running import here
from .seam import Running, Served, WebServer
from .watched import Watched

SERVERS: dict[str, WebServer] = {server.name: server for server in (Nginx(), Apache(), Caddy())}

__all__ = ["SERVERS", "Running", "Served", "Watched", "WebServer", "here"]
