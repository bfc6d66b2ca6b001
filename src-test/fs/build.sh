#!/bin/bash
# Builds the programs that test file systems, static so that they run in any image and on any host. Prints their paths.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m "$here/../target/fs")
mkdir -p "$out"

# build NAME FOLDER: all of a folder is one program.
build() {
  local source program=$out/$1
  for source in "$here/$2"/*.[ch] "$here/build.sh"; do
    if [ ! "$source" -nt "$program" ]; then continue; fi
    gcc -std=c17 -O2 -Wall -Wextra -Werror -Wno-format-truncation -Wshadow -Wstrict-prototypes -Wmissing-prototypes -static -s \
      -o "$program.$$" "$here/$2"/*.c
    mv "$program.$$" "$program"
    break
  done
  echo "$program"
}

build posix-table table
build fsx fsx
build fs-tool tools
