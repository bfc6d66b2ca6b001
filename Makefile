# rund. Every target works first on a fresh Debian 12 as root, and costs little the second time.
#
#   make setup   what the build needs, from apt; a JDK 25
#   make build   everything, into target/dist/rund
#   make run     a redis in a sandbox, started by a real containerd
#   make test    unit, C and end-to-end tests
#   make soak    what takes hours: a thousand starts, long random file operations, a hundred thousand files (src-test/soak.sh)
#   make matrix  what containerd may make a difference to, with containerd 1.7 and 2; all, with every sandbox booting
#   make bench   the benchmarks (RUND_BENCH_ONLY=B2,B9: these); figures in target/bench. bench-check: fails if one is worse
#                than the accepted run in docs/benchmarks; bench-accept: the last run is that from now on
#   make lab     a shell in the lab (docs/lab.md)
#   make dist    target/dist/rund-VERSION.tar.zst
#   make lint    style of C and shell; make format mends the style of C and Java
#   make clean   removes what was built here, not the caches

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

VERSION := $(shell sed -n 's|^  <version>\(.*\)</version>|\1|p' pom.xml)
# Expanded when used: `setup` may just have installed it. Maven runs on it too, so that the format is checked.
java_home = $(shell native/setup.sh --java-home)
# Class files and Surefire's summary, without the progress of downloads.
mvn = JAVA_HOME=$(java_home) MAVEN_OPTS="--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow" \
	mvn --batch-mode --no-transfer-progress -Dstyle.color=never
DIST := target/dist/rund

# Says that Maven has made the jars of these sources; folders are among them, so that a deletion counts.
JARS := target/jars.stamp
java_sources = $(shell find pom.xml */pom.xml */src/main)

# Sources of C and shell, other than what is built.
c_sources     = $(shell git ls-files --cached --others --exclude-standard -- '*.c' '*.h')
shell_sources = $(shell git ls-files --cached --others --exclude-standard | \
	xargs -d '\n' grep -lE -m1 '^\#!/bin/(ba)?sh' 2>/dev/null)

.PHONY: setup build native java run test test-native soak matrix bench bench-check bench-accept lab dist format lint clean

setup:
	@native/setup.sh

build: dist

native: setup
	@echo "== launcher, anchor, guest agent"
	@$(MAKE) --no-print-directory -s -C native all

java: $(JARS)

$(JARS): $(java_sources) | setup
	@echo "== Java"
	@$(mvn) -q package -pl shim-v2 -am -Dmaven.test.skip -Dspotless.check.skip
	@mkdir -p $(@D) && touch $@

dist: native java
	@echo "== guest kernel and image, Java runtime, distribution"
	@JAVA_HOME=$(java_home) shim-v2/dist.sh $(DIST)

run: dist
	@src-test/run.sh

test: dist lint test-native
	@echo "== unit and end-to-end tests"
	@$(mvn) verify -Pe2e

test-native: native
	@echo "== tests of the C parts"
	@$(MAKE) --no-print-directory -s -C native test

soak: dist
	@src-test/soak.sh

matrix: dist
	@$(mvn) -Dspotless.check.skip -Pe2e,matrix -pl src-test -am test-compile failsafe:integration-test@containerd-1.7 \
		failsafe:integration-test@containerd-2 failsafe:integration-test@cgroup-v1 failsafe:integration-test@cold failsafe:verify@verify

bench: dist
	@$(mvn) -q test-compile -Dspotless.check.skip
	@src-test/bench.sh

bench-check: bench
	@$(java_home)/bin/java -cp 'src-test/target/test-classes:$(DIST)/lib/*' io.rund.bench.Check docs/benchmarks target/bench

bench-accept:
	@cp -r target/bench/*.json target/bench/charts docs/benchmarks/

lab: dist
	@src-test/lab/lab up
	@src-test/lab/lab shell

format: setup
	@clang-format -i $(c_sources)
	@$(mvn) -q spotless:apply -Pformat

lint: setup
	@echo "== style of C and shell"
	@clang-format --dry-run -Werror $(c_sources)
	@shellcheck -x -P SCRIPTDIR $(shell_sources)

clean:
	@$(MAKE) --no-print-directory -s -C native clean
	@rm -rf target */target
