# The commands a person types. Each installs what it needs on Debian 12 (as root or through sudo).
JOBS ?= $(shell nproc)
PRESET ?= release
BUILD := $(if $(filter release,$(PRESET)),build,build-$(PRESET))

.PHONY: help deps configure build cluster package package-test demo test manifests-test bench clients-test peers-load shaped-link format format-check tidy sanitize fuzz clean

help:
	@echo 'make demo      build, start a cluster on the bundled model, stream one answer, stop'
	@echo 'make test      build and run every test that needs no GPU'
	@echo 'make manifests-test  what is shipped for Kubernetes: rendered, validated, its pods run as processes'
	@echo 'make cluster   what a cluster needs: the daemons and sluicectl, in build/bin'
	@echo 'make package   Debian packages, in build/packages; make package-test installs them in a clean Debian and serves'
	@echo 'make build     everything, tests and benches too   (PRESET=dev|tsan|release|cuda|fuzz)'
	@echo 'make bench     the figures: engine, transport, codec'
	@echo 'make clients-test  litellm and lm-eval against a cluster (installs a gigabyte)'
	@echo 'make peers-load  aiperf beside sluicectl bench (installs some gigabytes)'
	@echo 'make shaped-link  the controller on a real link whose rate changes (root, 6 minutes)'
	@echo 'make format    clang-format the tree; make tidy runs clang-tidy'

deps:
	@tools/install_deps.sh

configure: deps
	@[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET)
build: configure
	@cmake --build $(BUILD) -j $(JOBS)
# What a cluster needs and no more: neither tests nor benches, which are two thirds of the objects.
cluster: configure
	@cmake --build $(BUILD) -j $(JOBS) --target sluice-coordinator sluice-prefill sluice-decode sluicectl

# What is in packages has the time of the last commit, so that the same objects make the same packages.
package: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
package: configure
	@tools/install_deps.sh package
	@cmake --build $(BUILD) -j $(JOBS) --target sluice_package_files
	@cpack --config $(BUILD)/CPackConfig.cmake
package-test: package
	@tools/install_deps.sh package-test
	@tools/package_test.sh --full $(BUILD)

demo: cluster
	@tools/demo.sh

test: build
	@tools/install_deps.sh test
	@tools/test_venv.sh $(BUILD)
	@tools/test_venv.sh $(BUILD) schema
	@tools/manifests_venv.sh $(BUILD)
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS)

manifests-test: cluster
	@tools/manifests_venv.sh $(BUILD)
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j 1 -L manifests

bench: build
	@for s in codec transport engine; do $(BUILD)/bin/sluice-bench $$s || exit 1; done

# Clients of others that are too large for `make test`, into BUILD/clients.
clients-test: cluster
	@tools/test_venv.sh $(BUILD) clients
	@python3 tests/system/clients_test.py --venv $(BUILD)/clients --bin $(BUILD)/bin
	@python3 tests/system/structured_clients_test.py --venv $(BUILD)/clients --bin $(BUILD)/bin

# Load tools of others beside ours, on one cluster. Not a part of `make test`: it installs some gigabytes into BUILD/peers.
peers-load: cluster
	@tools/test_venv.sh $(BUILD) peers
	@python3 tests/system/peers_load_test.py --venv $(BUILD)/peers --bin $(BUILD)/bin

shaped-link: build
	@tools/shaped_link.sh --bin $(BUILD)/bin

SOURCES = git ls-files '*.h' '*.cpp' '*.cu' '*.cuh'
format:
	@$(SOURCES) | xargs clang-format-19 -i
format-check:
	@tools/install_deps.sh ci
	@$(SOURCES) | xargs clang-format-19 --dry-run --Werror
tidy: build
	@tools/install_deps.sh ci
	@tools/tidy.sh $(BUILD)
# Unit tests under ASan and UBSan; system tests and large models stay with the release build.
sanitize:
	@$(MAKE) --no-print-directory build PRESET=dev
	@ctest --test-dir build-dev --output-on-failure --no-tests=error -j $(JOBS) -LE 'system|slow'
fuzz:
	@tools/install_deps.sh ci
	@cmake --preset fuzz >/dev/null && cmake --build build-fuzz -j $(JOBS) --target sluice_fuzz_all && tools/fuzz.sh build-fuzz $(SECONDS_EACH)

clean:
	@rm -rf build build-dev build-tsan build-fuzz build-cuda
