#!/bin/bash
# `make soak`: the end-to-end tests that take hours, in the lab (docs/lab.md). How much of it: RUND_SOAK_CYCLES=1000 starts,
# RUND_SOAK_CLONES=2000 clones, RUND_SOAK_FSX_SECONDS=600 of random file operations, RUND_SOAK_FILES=100000 files for tar,
# RUND_SOAK_SANDBOXES=40 at once (200 take a lab with RUND_LAB_MEMORY=20G), RUND_SOAK_PODS=50 pods at once,
# RUND_SOAK_POD_CYCLES=500 one after the other. RUND_SOAK_TEST=CLASS#METHOD runs only that.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
JAVA_HOME=$("$root/native/setup.sh" --java-home)
export JAVA_HOME MAVEN_OPTS="--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow"
# Fifty pods may take more than the lab usually has; one that is up already stays as it is.
export RUND_LAB_MEMORY=${RUND_LAB_MEMORY:-8G}

[ -d "$root/target/dist/rund/lib" ] || { echo "soak: rund is not built: run 'make build'" >&2; exit 1; }
# Only failsafe's goals, so that no unit test runs again.
cd "$root"
exec mvn --batch-mode --no-transfer-progress -Dstyle.color=never -Dspotless.check.skip -Pe2e,soak -pl src-test -am \
  ${RUND_SOAK_TEST:+-Dit.test="$RUND_SOAK_TEST"} -Dfailsafe.failIfNoSpecifiedTests=false \
  test-compile failsafe:integration-test failsafe:verify
