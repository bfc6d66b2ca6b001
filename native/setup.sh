#!/bin/bash
# Installs what building and testing need: the packages that the lists name and this machine lacks, and a JDK 25.
#   setup.sh               does it; as root
#   setup.sh --java-home   prints where the JDK is
set -euo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
lists=(native/packages src-test/lab/packages)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The newest JDK, 25 or later, that has a compiler and can link runtimes.
java_home() {
  local home version best=0 found=
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/* /opt/*; do
    if [ -x "$home/bin/javac" ] && [ -x "$home/bin/jlink" ] && [ -f "$home/release" ]; then
      version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
      if [ "${version:-0}" -ge 25 ] && [ "$version" -gt "$best" ]; then
        best=$version
        found=$home
      fi
    fi
  done
  [ -n "$found" ] && readlink -f "$found"
}

if [ "${1:-}" = --java-home ]; then
  java_home || die "no JDK 25 or later found: run 'make setup'"
  exit
fi

install() {
  [ "$(id -u)" = 0 ] || die "missing packages: $*; run 'make setup' as root"
  say "installing $*"
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=600)
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --no-install-recommends "$@" >&2 || {
    say "refreshing apt's lists"
    "${apt[@]}" update >&2
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --no-install-recommends "$@" >&2
  }
}

mapfile -t wanted < <(sed 's/#.*//' "${lists[@]}" | awk 'NF { print $1 }' | sort -u)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}") \
  <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null | awk '$1 == "ii" { print $2 }' | sort -u))
[ ${#missing[@]} = 0 ] || install "${missing[@]}"

if ! java_home >/dev/null; then
  if [ -z "$(apt-cache show openjdk-25-jdk-headless 2>/dev/null)" ]; then
    die "this distribution has no JDK 25: unpack one below /usr/lib/jvm, for example Eclipse Temurin from https://adoptium.net"
  fi
  install openjdk-25-jdk-headless
fi
