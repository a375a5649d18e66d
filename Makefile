# make demo    a Django site deployed and rolled back under requests, and a picture of it
# make test    everything that .ci/run runs: the checks, then the tests
# make test-crash    more of what make test samples: kills, errors and power losses at so many points that two cores
#                    need less than an hour. SEED=... takes others; SHARD=i/n (1/8, 2/8, ...) every n-th of all there
#                    are, so that n runs, on as many machines, leave none out
# make test-soak    commands and readers at once, killed at random, for MINUTES=10; SEED=... Then SWITCHES=100 under
#                    requests to a Django site, with their counts
# make check   style, types, and which room imports which
# make bench   times, memory and disk beside rsync, ostree, git and others, requests beside HUP and a restart of gunicorn,
#              for docs/benchmarks.md; SIZE=small, 64k or 1m;
#              ARGS="--rounds 2 --only treeswap rsync" prints that much only. It works in TMPDIR
# make clean   removes what the others made
#
# Nothing has to be installed before but Python 3.11 or later: each makes what it needs in .venv, once.

BIN = .venv/bin

.PHONY: demo test test-crash test-soak check bench clean bytecode

demo: .venv/.demo bytecode
	@$(BIN)/python -m treeswap demo $(ARGS)

test: check bytecode
	@scripts/test-needs
	@$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)

test-crash: .venv/.dev bytecode
	@scripts/test-needs
	@TREESWAP_CRASH=full $(BIN)/python -m pytest tests/crash -n 2 --dist load $(ARGS)

test-soak: .venv/.dev bytecode
	@cd tests && PYTHONPATH=.:../src ../$(BIN)/python -m crash.soak --minutes $(or $(MINUTES),10) $(ARGS)
	@cd tests && PYTHONPATH=.:../src ../$(BIN)/python -m serving.soak --switches $(or $(SWITCHES),100)

check: .venv/.dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy --strict
	@$(BIN)/lint-imports

bench: .venv/.dev bytecode
	@scripts/test-needs
	@PYTHONPATH=scripts $(BIN)/python -m benchmark $(ARGS)

# What pip installs is compiled, what is only linked to is not: where the environment forbids to write bytecode, each
# command would compile itself anew.
bytecode:
	@$(BIN)/python -m compileall -q src

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo.svg
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.demo .venv/.dev: pyproject.toml scripts/venv
	@scripts/venv $(@F)
