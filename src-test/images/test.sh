#!/bin/bash
# The image of the tests: busybox and the programs given. Usage: test.sh [PROGRAM...]; each goes to /test/<its name>.
# Prints the path of the OCI archive; its reference is docker.io/rund/test:latest.
. "$(dirname "${BASH_SOURCE[0]}")/oci.sh"

busybox=$(command -v busybox) || die "busybox is missing: run 'make setup'"
for program in "$@"; do [ -f "$program" ] || die "no such program: $program"; done
image_begin test "$busybox" "$@"
mkdir "$root/test"
image_base
[ $# = 0 ] || install -m 755 "$@" "$root/test/"
image_write docker.io/rund/test:latest '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/test"],
 "Cmd":["/bin/sh"],"WorkingDir":"/"}'
