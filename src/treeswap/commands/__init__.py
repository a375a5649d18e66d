"""Running a site's own commands: in the shell, the release in their environment, their output kept, never left alone.

`run` does it, by way of `guard`, a small program that ends a command whose deploy has died; `confine` is what it calls
first for a build, which sees the stage where the site is and can write to nothing else of it.
"""

from .running import TIMED_OUT, Confinement, Runner, Task, can_confine, run

__all__ = ["TIMED_OUT", "Confinement", "Runner", "Task", "can_confine", "run"]
