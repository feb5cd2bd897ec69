# What developers and users run. `make demo` and `make test` install what is missing first (tools/setup says what).

CARGO ?= cargo
PYTHON := .venv/bin/python3
# The world that `make demo` shows: linux (processes and packets, needs root or sudo) or sim (modelled, needs nothing).
WORLD ?= linux
BENCHES := $(patsubst bench/%/run,%,$(wildcard bench/*/run))

.PHONY: demo test bench lint bare build setup coverage shapes clean help

help:
	@echo "make demo [WORLD=sim]   build, then run the six phases of WhatsTheTime and show what came of them"
	@echo "make test               all tests; what this machine cannot run is counted as skipped"
	@echo "make bench BENCH=name   one of: $(BENCHES)"
	@echo "make lint               format, clippy, tidy, licences"
	@echo "make bare               the README's two commands on a minimal Debian made on the spot"
	@echo "make build | setup | coverage | shapes | clean"

demo: setup build
	@tools/demo $(WORLD)

test:
	@tools/setup --tests
	@tools/test $(if $(STRICT),--strict)

bench: setup
	@if [ -z "$(BENCH)" ] || [ ! -x bench/$(BENCH)/run ]; then echo "make bench BENCH=name, one of: $(BENCHES)" >&2; exit 2; fi
	bench/$(BENCH)/run

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) build --locked --quiet -p zonal
	$(PYTHON) tools/tidy/tidy.py --zonal target/debug/zonal
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check licenses bans sources; \
	else echo "cargo-deny is not installed: licences were checked by tidy only"; fi

bare:
	tools/bare

build:
	$(CARGO) build --locked --release -p zonal

setup:
	@tools/setup

coverage:
	$(CARGO) build --locked --quiet -p zonal
	target/debug/zonal coverage > COVERAGE.md.new && mv COVERAGE.md.new COVERAGE.md

shapes: setup
	$(PYTHON) tools/shapes/shapes.py

clean:
	$(CARGO) clean
	rm -rf .venv
