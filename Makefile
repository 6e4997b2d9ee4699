# Two commands do everything, their own set-up included: `make demo` and `make test`.
PYTHON ?= python3
DEV := .venv
DEMO := .venv-demo
# Each vector source is empty but on its own architecture.
KERNELS := $(wildcard csrc/*.c csrc/x86/*.c csrc/arm/*.c)
# What the benchmarks written in C share; each program has a file of its own.
BENCH := $(filter-out csrc/bench/bench_%.c csrc/bench/stream.c,$(wildcard csrc/bench/*.c))
PHOTOS ?=
BUNDLE ?=
# Of `make deb`, as Debian calls them: amd64, arm64 or armhf.
ARCH ?= $(shell dpkg --print-architecture)

.PHONY: demo test test-long check fuzz fuzz-features benchmark bench-features bench-stages bench-arm bench-bps \
	bench-kernels-c bench-ceilings count-aarch64 bench-amot bench-slimmable bench-profile bench-daemon clean \
	test-aarch64 test-aarch64-3.13 test-armv7l test-sandboxed wheel-aarch64 wheel-armv7l wheel-x86_64 deb

demo: $(DEMO)/installed
	$(DEMO)/bin/edge-runtime demo $(if $(PHOTOS),--images $(PHOTOS))

test: $(DEV)/installed
	$(DEV)/bin/python -m pytest -m "not long"

test-long: $(DEV)/installed
	$(DEV)/bin/python -m pytest -m long

# The device's tests on emulated boards, with the wheel of `make wheel-*`: docs/cross-building.md.
test-aarch64 test-aarch64-3.13 test-armv7l: test-%:
	deploy/test_$*.sh

wheel-aarch64 wheel-armv7l: wheel-%: build/arm/%/userland
	deploy/build_wheel.sh $* dist

wheel-x86_64:
	deploy/build_wheel.sh x86_64 dist

# The package for Debian 12: docs/operations.md.
deb: $(DEV)/installed
	deploy/build_deb.sh $(ARCH) dist

build/arm/%/userland:
	deploy/packages.sh $*
	deploy/userland.sh $* $@

# What the daemon runs, without Numba and with no memory that can be written and executed, as its unit has it.
test-sandboxed: $(DEV)/installed
	$(DEV)/bin/python deploy/sandboxed.py tests/daemon tests/systems tests/transport tests/control tests/test_cli_daemon.py

check: $(DEV)/installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy

# Decoders and kernels under ASan and UBSan on random bytes; plain gcc is enough.
fuzz: build/fuzz_kernels build/fuzz_features build/fuzz_latents
	build/fuzz_kernels 1 20000
	build/fuzz_features 1 5000
	build/fuzz_latents 1 20000

# Two million changed streams through each of the decoders of features and of values.
fuzz-features: build/fuzz_features
	build/fuzz_features 2 125000

build/fuzz_%: csrc/fuzz/fuzz_%.c $(KERNELS) $(wildcard csrc/*.h csrc/*/*.h)
	mkdir -p build
	$(CC) -std=c11 -O1 -g -Wall -Wextra -Werror -Wno-psabi -ffp-contract=off -fsanitize=address,undefined \
		-fno-sanitize-recover=all -Icsrc $(filter %.c,$^) -o $@

benchmark: $(DEV)/installed
	$(DEV)/bin/python benchmarks/kernels.py --json benchmarks/results/kernels.json

# Adds the network of a bundle to the results; without BUNDLE and PHOTOS, sums up and draws what is there.
bench-features: $(DEV)/installed
	$(DEV)/bin/python benchmarks/features.py --json benchmarks/results/features.json --picture docs/pictures \
		$(if $(BUNDLE),--bundle $(BUNDLE) --data $(PHOTOS)) $(if $(NAME),--name $(NAME)) $(if $(COUNT),--photos $(COUNT)) \
		$(if $(CUTS),--cuts $(CUTS))

# The feature coder's stages one by one, with the flags of the extension; needs no Python.
bench-stages: build/bench_features
	build/bench_features > build/stages.json
	mv build/stages.json benchmarks/results/stages.json

# Every kernel in every instruction set, and its distance from what the core can do; needs no Python either.
# `make -B build/bench_kernels CC=aarch64-linux-gnu-gcc LDFLAGS=-static` builds it for a board; run it there by itself.
bench-kernels-c: build/bench_kernels
	build/bench_kernels --json > build/kernel_limits.json
	mv build/kernel_limits.json benchmarks/results/kernel_limits.json

build/bench_%: csrc/bench/bench_%.c $(BENCH) $(KERNELS) $(wildcard csrc/*.h csrc/*/*.h)
	mkdir -p build
	$(CC) -std=c11 -O3 -ffp-contract=off -Wall -Wextra -Werror -Wno-psabi -Icsrc $(filter %.c,$^) $(LDFLAGS) -o $@

# Instructions of every kernel on emulated cores against the recorded ones; RECORD=1 replaces those.
count-aarch64: $(DEV)/installed
	$(DEV)/bin/python benchmarks/arm_instructions.py $(if $(RECORD),--record)

# The ceilings that profiles are held against, beside plain loops that the compiler makes vectors of.
bench-ceilings: $(DEV)/installed
	$(DEV)/bin/python benchmarks/ceilings.py --json benchmarks/results/ceilings.json

# Sampling on an emulated ARM core: equal to NumPy for 10,000 seeds.
bench-arm: $(DEV)/installed
	$(DEV)/bin/python benchmarks/arm_sampling.py --json benchmarks/results/arm_sampling.json

# Replaces the parts named (all of them without PARTS) in the results; `real` and `validation` need PHOTOS.
bench-bps: $(DEV)/installed
	$(DEV)/bin/python benchmarks/bps.py --json benchmarks/results/bps.json --bundle $(or $(BUNDLE),zoo/lite0) \
		$(if $(PHOTOS),--data $(PHOTOS)) $(if $(PARTS),--parts $(PARTS))

# Two rounds over changing links, and what a light second look saves; run nothing else for the twelve minutes.
bench-amot: $(DEV)/installed
	$(DEV)/bin/python benchmarks/amot_light.py --bundle $(or $(BUNDLE),zoo/amot) --data $(PHOTOS) \
		--out benchmarks/results/amot_light.json
	$(DEV)/bin/python benchmarks/amot_traces.py --bundle $(or $(BUNDLE),zoo/amot) --data $(PHOTOS) \
		--out benchmarks/results/amot_traces.json --picture docs/pictures/amot-trace.png

# Slimmable encoders beside the network they save from, and their modes over changing links; run nothing else for the
# quarter of an hour.
bench-slimmable: $(DEV)/installed
	$(DEV)/bin/python benchmarks/slimmable_encoders.py --bundle $(or $(BUNDLE),zoo/slimmable) --split zoo/lite0 \
		--data $(PHOTOS) --out benchmarks/results/slimmable_encoders.json
	$(DEV)/bin/python benchmarks/slimmable_traces.py --bundle $(or $(BUNDLE),zoo/slimmable) --data $(PHOTOS) \
		--out benchmarks/results/slimmable_traces.json --picture docs/pictures/slimmable-trace.png --seconds 8

# Whether profiles repeat, see a fifth more work, and see nothing where nothing is; run nothing else for five minutes.
bench-profile: $(DEV)/installed
	$(DEV)/bin/python benchmarks/profile_repeats.py --json benchmarks/results/profile_repeats.json

# The daemon: its start, a link that is cut, a server that is dead, and an hour of everything; run nothing else meanwhile.
bench-daemon: $(DEV)/installed
	$(DEV)/bin/python benchmarks/daemon_start.py --json benchmarks/results/daemon_start.json
	$(DEV)/bin/python benchmarks/daemon_link.py --data $(PHOTOS) --json benchmarks/results/daemon_link.json
	$(DEV)/bin/python benchmarks/daemon_soak.py --data $(PHOTOS) --json benchmarks/results/daemon_soak.json

clean:
	rm -rf $(DEV) $(DEMO) build dist *.egg-info edge_runtime/kernels/*.so

# The demo needs no PyTorch: its environment holds the device's and the server's packages only.
$(DEMO)/installed: pyproject.toml setup.py $(wildcard csrc/*.c csrc/*.h csrc/*/*.h)
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check --editable ".[demo]"
	touch $@

$(DEV)/installed: pyproject.toml setup.py $(wildcard csrc/*.c csrc/*.h csrc/*/*.h)
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@
