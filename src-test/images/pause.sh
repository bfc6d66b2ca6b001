#!/bin/bash
# The image of a pod's sandbox, for containerd's CRI plugin: busybox asleep.
# Prints the path of the OCI archive; its reference is docker.io/rund/pause:latest.
. "$(dirname "${BASH_SOURCE[0]}")/oci.sh"

busybox=$(command -v busybox) || die "busybox is missing: run 'make setup'"
image_begin pause "$busybox"
install -D "$busybox" "$root/bin/busybox"
image_write docker.io/rund/pause:latest '{"Entrypoint":["/bin/busybox","sleep","2147483647"]}'
