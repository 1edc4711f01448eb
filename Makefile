# The two commands of the README, and what they are made of.
BUILD = cmake --build
JOBS ?= $(shell nproc)
ARGS ?=

.PHONY: varve chat test asan fuzz format setup setup-test clean

varve: setup
	cmake --preset release -DVARVE_TESTS=OFF >/dev/null
	$(BUILD) build/release -j$(JOBS) --target varve

chat: varve
	build/release/varve chat $(ARGS)

# What CI runs: everything, then the unit tests again under the address and undefined-behaviour sanitizers.
test: setup-test
	tools/check.sh

asan: setup-test
	tools/check.sh asan

fuzz: setup-test
	tools/fuzz.sh $(ARGS)

format:
	git ls-files '*.h' '*.cc' | xargs clang-format -i

setup:
	@tools/setup.sh

setup-test:
	@tools/setup.sh test

clean:
	rm -rf build
