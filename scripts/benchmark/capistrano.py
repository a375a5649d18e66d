"""Capistrano's own deploy, by ssh over the loopback interface, of a git repository in which all trees are one."""

from __future__ import annotations

import shutil
from pathlib import Path

from .contending import Contender
from .launching import Run, run
from .sshd import Sshd
from .versioning import as_they_are, bare_repository, committing

_CAPFILE = """\
require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
"""
_DEPLOY = """\
set :application, "bench"
set :repo_url, "{repository}"
set :branch, "main"
set :deploy_to, "{place}"
set :tmp_dir, "{room}"
set :keep_releases, ENV.fetch("KEEP", "5").to_i
set :release_path, Pathname.new(ENV["RELEASE"]) if ENV["RELEASE"]
set :default_env, {{ git_template_dir: "{template}" }}
"""
_SERVER = """\
server "127.0.0.1", user: "{user}", port: {port}, roles: %w[app], ssh_options: {{
  keys: ["{key}"], keys_only: true, auth_methods: ["publickey"], use_agent: false, config: false,
  verify_host_key: :never, user_known_hosts_file: ["/dev/null"]
}}
"""


class Application:
    """One application of Capistrano's, and the ssh server that it goes through."""

    def __init__(self, room: Path, place: Path, repository: Path) -> None:
        self.sshd = Sshd(room / "sshd")
        self.room = room
        words = {"repository": repository, "place": place, "room": room, "template": as_they_are(room / "mirror")}
        (room / "config" / "deploy").mkdir(parents=True)
        (room / "Capfile").write_text(_CAPFILE)
        (room / "config" / "deploy.rb").write_text(_DEPLOY.format(**words))
        server = _SERVER.format(user=self.sshd.user, port=self.sshd.port, key=self.sshd.key)
        (room / "config" / "deploy" / "production.rb").write_text(server)

    @staticmethod
    def lacks() -> str | None:
        missing = [name for name in ("cap", "git") if not shutil.which(name)]
        return f"{missing[0]} is not installed" if missing else Sshd.lacks()

    def cap(self, task: str, **env: str) -> Run:
        return run([["cap", "production", task]], cwd=self.room, env=env)


class Capistrano(Contender):
    name = "Capistrano"
    as_in_git = True
    slow = True

    def set_up(self) -> None:
        self.keep = 5
        self.repository = bare_repository(self.place / "source.git")
        (self.place / "application").mkdir()
        self.application = Application(self.place / "application", self.place / "releases", self.repository)

    @classmethod
    def lacks(cls) -> str | None:
        return Application.lacks()

    def ready(self) -> None:
        run(committing(self.repository, self.source))

    def deploy(self, only: str | None = None) -> Run:  # noqa: ARG002
        self.count += 1
        return self.application.cap("deploy", KEEP=str(self.keep))

    def public(self, tree: str) -> Path:
        return self.place / "releases" / "current" / tree

    def roll_back(self) -> Run:
        return self.application.cap("deploy:rollback", KEEP=str(self.keep))

    def rolled_back(self, tree: str) -> Path:
        return self.public(tree)

    def go_forward(self) -> None:
        """Its next deploy makes a release anew, in any case."""

    def prune(self, keep: int) -> None:
        self.keep = keep

    def leave(self) -> None:
        self.application.sshd.stop()
        super().leave()
