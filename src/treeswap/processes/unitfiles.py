"""The names and texts of a site's systemd units."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from treeswap.errors import Failed
from treeswap.process import Process
from treeswap.release import ReleaseId

from .owner import owner_of
from .seam import Unit

BACKS_OFF = 254
"""The first version of systemd that waits longer from one restart to the next."""
WEB_SERVERS = ("nginx.service", "apache2.service", "httpd.service", "caddy.service")
_PLAIN = re.compile(r"[A-Za-z0-9:_]")
_SITE_LINE = "X-TreeswapSite="
_TIDY = 5.0
"""Seconds after `drain_timeout` at which systemd itself would kill: at shutdown, nobody else does."""


class Names:
    """What a site's units are called. A name's own hyphens are escaped, so that ours part it."""

    def __init__(self, site_name: str) -> None:
        self._prefix = f"treeswap-{escape(site_name)}"
        self._pattern = re.compile(rf"{re.escape(self._prefix)}-([^-]+)-([1-9][0-9]*)@([0-9]+)\.service")

    @property
    def boot(self) -> str:
        return f"{self._prefix}.service"

    @property
    def target(self) -> str:
        return f"{self._prefix}.target"

    def template(self, process: str, instance: int) -> str:
        return f"{self._prefix}-{escape(process)}-{instance}@.service"

    def unit(self, unit: Unit) -> str:
        return f"{self._prefix}-{escape(unit.process)}-{unit.instance}@{unit.release}.service"

    def is_file_of(self, name: str) -> bool:
        """Whether a unit file of this name is one of the site's."""
        is_template = name.startswith(f"{self._prefix}-") and name.endswith("@.service")
        return is_template or name in (self.boot, self.target)

    @property
    def pattern(self) -> str:
        """A glob for all of them; systemd takes a backslash in one as itself."""
        return f"{self._prefix}-*@*.service"

    def parts(self, name: str) -> tuple[str, int, str] | None:
        """Process, instance and release; None for a name that is none of ours."""
        match = self._pattern.fullmatch(name)
        if match is None or not ReleaseId.valid(match[3]):
            return None
        return unescape(match[1]), int(match[2]), match[3]


class UnitFiles:
    """The texts. `program` is how treeswap is called."""

    def __init__(self, names: Names, site: Path, program: Sequence[str], *, user: bool) -> None:
        for text in (str(site), *program):
            if not text.isprintable() or '"' in text or "\\" in text:
                raise Failed(f"{text!r} cannot stand in a unit file", hint="choose a deploy_to without such characters")
        self._names, self._site, self._program, self._user = names, site, program, user

    def of_site(self) -> dict[str, str]:
        """The boot unit and the target, by name."""
        recover = _command([*self._program, "recover", "--site", str(self._site)])
        start = ["systemctl", *(["--user"] if self._user else []), "start", "--no-block", self._names.target]
        boot = f"""\
# Written by treeswap, and written again when it differs.
[Unit]
Description=treeswap: bring {_escaped(str(self._site))} to rest, then start its processes
{_SITE_LINE}{self._site}
RequiresMountsFor={_quoted(str(self._site))}
Before={" ".join(WEB_SERVERS)}

[Service]
Type=oneshot
RemainAfterExit=yes
# What is current is whole in any case, so that its processes start even if this fails.
ExecStart=-{recover}
ExecStart={_command(start)}

[Install]
WantedBy={"default" if self._user else "multi-user"}.target
"""
        target = f"""\
# Written by treeswap. Stopping it stops all processes of the site.
[Unit]
Description=The processes of {_escaped(str(self._site))}
"""
        return {self._names.boot: boot, self._names.target: target}

    def of_process(self, process: Process, *, backs_off: bool) -> dict[str, str]:
        """A template for each instance, by name."""
        texts = [self._template(process, number, backs_off) for number in range(1, process.instances + 1)]
        return {self._names.template(process.name, number): text for number, text in enumerate(texts, 1)}

    def _template(self, process: Process, instance: int, backs_off: bool) -> str:
        unit = Unit("", self._site, ReleaseId("%i"), process.name, instance)
        command = _command([*self._program, *unit.exec_arguments]).replace('"%%i"', '"%i"')
        again = "RestartSec=100ms\nRestartSteps=8\nRestartMaxDelaySec=30s" if backs_off else "RestartSec=1s"
        return f"""\
# Written by treeswap, and written again when it differs: put changes into a drop-in (systemctl edit).
[Unit]
Description={process.name} {instance} of {_escaped(str(self._site))}, release %i
PartOf={self._names.target}
StartLimitIntervalSec=0
CollectMode=inactive-or-failed

[Service]
Type=exec
ExecStart={command}
{self._user_line()}WorkingDirectory=/
Restart=always
{again}
# Only the program itself is told to stop, and may end what it started; what it leaves is killed.
KillMode=mixed
TimeoutStopSec={process.drain_timeout + _TIDY:g}s

[Install]
WantedBy={self._names.target}
"""

    def _user_line(self) -> str:
        owner = owner_of(self._site)
        return "" if self._user or owner.pw_uid == 0 else f"User={owner.pw_name}\n"


def site_of(boot_unit: str) -> str | None:
    """The SITE that the text of a boot unit is for."""
    for line in boot_unit.splitlines():
        if line.startswith(_SITE_LINE):
            return line.removeprefix(_SITE_LINE)
    return None


def escape(text: str) -> str:
    """Any text as a part of a unit's name, without a hyphen in it; systemd.unit(5), "String escaping"."""
    name = "".join(
        char if _PLAIN.fullmatch(char) or (char == "." and number) else _bytes_escaped(char)
        for number, char in enumerate(text)
    )
    if len(name) > 128:
        raise Failed(f"{text!r} is too long for the name of a unit", hint="give the site a shorter name")
    return name


def unescape(name: str) -> str:
    escaped = re.compile(r"((?:\\x[0-9a-f]{2})+)")
    return escaped.sub(lambda match: os.fsdecode(bytes.fromhex(match[1].replace("\\x", ""))), name)


def _bytes_escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))


def _command(words: Sequence[str]) -> str:
    return " ".join(_quoted(word).replace("$", "$$") for word in words)


def _quoted(word: str) -> str:
    return '"' + _escaped(word).replace("\\", "\\\\") + '"'


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
