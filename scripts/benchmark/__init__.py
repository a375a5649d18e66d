"""Times, memory and disk of treeswap beside what people use instead: `make bench`.

__main__      what is asked for, and in which order it is done
inputs        the trees that are deployed, and changing some of their files
launching     running commands: seconds and peak memory; launcher.py is the small process that times them
contending    what a contender is; copying, versioning, capistrano are the contenders
sameness      whether what came out is what went in
racing        the contenders one after the other, step by step, round by round
switching     what readers see of the switch itself; watcher.py is one reader
serving       ways to deploy a site whose processes answer requests
answering     what visitors are answered meanwhile
starting      how long the program takes to start
figures       what was measured, and medians and ratios of it
page, plot    docs/benchmarks.md and docs/benchmarks.svg
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # for `inputs`, which fetches real trees
