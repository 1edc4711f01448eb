# The two commands of the README, and what they are made of.
BUILD = cmake --build
JOBS ?= $(shell nproc)
ARGS ?=

.PHONY: varve chat test asan fuzz format setup clean

varve: setup
	cmake --preset release -DVARVE_TESTS=OFF >/dev/null
	$(BUILD) build/release -j$(JOBS) --target varve

chat: varve
	build/release/varve chat $(ARGS)

# What CI runs: everything, then the unit tests again under the address and undefined-behaviour sanitizers.
test: setup
	tools/check.sh

asan: setup
	tools/check.sh asan

fuzz: setup
	tools/fuzz.sh $(ARGS)

format:
	git ls-files '*.h' '*.cc' | xargs clang-format -i

setup:
	@tools/setup.sh

clean:
	rm -rf build
