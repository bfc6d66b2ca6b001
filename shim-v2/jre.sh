#!/bin/bash
# Links the Java runtime that the engine ships with and prints its path. Cached by JDK and modules.
set -euo pipefail

# java.base aside, what `jdeps` finds in the engine's libraries and what runs without the rest:
modules=(
  java.logging    # the fallback of netty's and protobuf's logging
  java.management # memory and thread figures
  java.naming     # logback looks for javax.naming
  java.xml        # logback's configuration
  jdk.jcmd        # jcmd PID Thread.print, for people
  jdk.jfr         # profiles
  jdk.unsupported # sun.misc.Unsafe: netty, protobuf
)

list=$(IFS=,; echo "${modules[*]}")
cache=${RUND_CACHE:-$HOME/.cache/rund}/jre
key=$(cat "$JAVA_HOME/release" - <<<"$list" "${BASH_SOURCE[0]}" | sha256sum | cut -c1-16)
if [ ! -d "$cache/$key" ]; then
  echo "jre: linking a runtime of ${#modules[@]} modules" >&2
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$JAVA_HOME/bin/jlink" --add-modules "$list" --no-header-files --no-man-pages --output "$work/jre" >&2
  mv -T "$work/jre" "$cache/$key" 2>/dev/null || [ -d "$cache/$key" ]
fi
echo "$cache/$key"
