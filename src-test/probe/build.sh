#!/bin/bash
# Builds the probe, static so that it runs in any image and on any host. Prints its path.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m "$here/../target/probe")
mkdir -p "${out%/*}"
for source in "$here"/*.[ch] "$here/build.sh"; do
  if [ ! "$source" -nt "$out" ]; then continue; fi
  gcc -std=c17 -O2 -Wall -Wextra -Werror -Wno-format-truncation -Wshadow -Wstrict-prototypes -Wmissing-prototypes -static -s \
    -o "$out.$$" "$here"/*.c
  mv "$out.$$" "$out"
  break
done
echo "$out"
