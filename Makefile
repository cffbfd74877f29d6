# SPDX-License-Identifier: Apache-2.0
# A thin front to scripts/ and CMake. Each target sets the machine up itself
# (scripts/setup installs missing Debian packages and says why) and does only
# what is not done yet; `make help` lists the targets.
PREFIX ?= /usr/local
DESTDIR ?=

.DEFAULT_GOAL := build
.PHONY: build test test-long demo bench install uninstall clean format help setup

build: ## Build everything, optimised, in build/release
	@scripts/build release

setup: ## Install the Debian packages that are missing
	@scripts/setup

test: ## All tests: release, sanitizers, checks (minutes)
	@scripts/test

test-long: ## Long tests: fuzzing, large instances, network faults
	@scripts/test-long

demo: ## MCF and sqlite3 with their heap far away; loops by clang and by cira-cc
	@scripts/demo

bench: ## All benchmarks with repetitions, into out/bench/
	@scripts/bench

install: build ## Install under DESTDIR and PREFIX
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

uninstall: ## Remove what install put under DESTDIR and PREFIX
	@scripts/uninstall "$(DESTDIR)$(PREFIX)"

clean: ## Remove build/ and out/
	rm -rf build out

format: ## Format all C sources in place
	@scripts/check-format --fix

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
