#!/bin/bash
# Runs in the lab: containerd.sh up|down vm|host. Starts (or stops) containerd with the overlayfs and devmapper
# snapshotters and the CRI plugin, and puts rund where containerd and people find it. Folders come in FILES STATE ROOT LOG
# LINKS CNI. A containerd of another version than the one that runs takes its place and begins with nothing.
set -euo pipefail

pool=rund-pool
die() { echo "lab: $*" >&2; exit 1; }
running() { [ -s "$FILES/containerd.pid" ] && [ -d "/proc/$(<"$FILES/containerd.pid")" ]; }

# A thin pool on two sparse files. The sizes are limits: memory is taken as data is written.
pool_up() {
  local data metadata
  dmsetup version >/dev/null 2>&1 || die "this kernel has no device-mapper (modprobe dm-mod): use RUND_LAB=vm"
  if dmsetup info "$pool" >/dev/null 2>&1; then
    [ -s "$FILES/loops" ] || die "a device-mapper device named $pool exists and is not the lab's"
    return
  fi
  truncate -s 4G "$FILES/data"
  truncate -s 128M "$FILES/metadata"
  data=$(losetup --find --show "$FILES/data")
  metadata=$(losetup --find --show "$FILES/metadata")
  echo "$data $metadata" >"$FILES/loops"
  # 64 KiB blocks; warn when less than 512 MiB are left.
  dmsetup create "$pool" --table "0 $(blockdev --getsz "$data") thin-pool $metadata $data 128 8192"
}

pool_down() {
  local device loops
  [ -s "$FILES/loops" ] || return 0
  for device in $(dmsetup ls 2>/dev/null | awk -v p="$pool-" 'index($1, p) == 1 { print $1 }') "$pool"; do
    dmsetup remove --retry "$device" || true
  done
  read -ra loops <"$FILES/loops"
  losetup -d "${loops[@]}"
}

containerd_up() {
  local version
  version=$(containerd --version)
  if running; then
    [ "$(cat "$FILES/containerd.version")" != "$version" ] || return 0
    containerd_down
    pool_down
    rm -rf "$FILES/data" "$FILES/metadata" "$FILES/loops" "${ROOT:?}"/* "${STATE:?}"/*
    pool_up
  fi
  echo "$version" >"$FILES/containerd.version"
  mkdir -p "$STATE" "$ROOT" "$(dirname "$LOG")"
  cat >"$FILES/containerd.toml" <<END
version = 2
root = "$ROOT"
state = "$STATE"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.native", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$STATE/containerd.sock"
[plugins."io.containerd.snapshotter.v1.devmapper"]
  root_path = "$ROOT/devmapper"
  pool_name = "$pool"
  base_image_size = "512MB"
  discard_blocks = true
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/rund/pause:latest"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI"
    conf_dir = "$FILES/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.rund]
      runtime_type = "io.containerd.rund.v2"
      pod_annotations = ["io.rund.*"]
      container_annotations = ["io.rund.*"]
    # Its pods are made through containerd's Sandbox API, from containerd 2 on; older ones do not know the key.
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.rund-sandboxer]
      runtime_type = "io.containerd.rund.v2"
      sandboxer = "shim"
      pod_annotations = ["io.rund.*"]
      container_annotations = ["io.rund.*"]
END
  # As Kubernetes' own documentation has it, but for the addresses.
  mkdir -p "$FILES/cni"
  cat >"$FILES/cni/10-rund.conflist" <<END
{"cniVersion": "0.4.0", "name": "rund-lab", "plugins": [
  {"type": "bridge", "bridge": "rund-cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$FILES/ipam", "ranges": [[{"subnet": "10.88.0.0/16"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
END
  ulimit -n 1048576
  setsid containerd --config "$FILES/containerd.toml" </dev/null >>"$LOG" 2>&1 &
  echo $! >"$FILES/containerd.pid"
  for _ in {1..300}; do
    if [ -S "$STATE/containerd.sock" ] && ctr version >/dev/null 2>&1; then
      ! ctr plugins ls | grep -E 'snapshotter.* error' || break
      return
    fi
    running || break
    sleep 0.2
  done
  tail -n 20 "$LOG" >&2
  kill "$(<"$FILES/containerd.pid")" || true
  rm "$FILES/containerd.pid"
  die "containerd, or its devmapper snapshotter, did not start (log: $LOG)"
}

containerd_down() {
  local namespace task pid
  running || return 0
  ctr namespaces ls -q | while read -r namespace; do
    ctr -n "$namespace" tasks ls -q | while read -r task; do ctr -n "$namespace" tasks rm -f "$task" >/dev/null || true; done
  done
  pid=$(<"$FILES/containerd.pid")
  kill "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.1; done
}

# Puts rund into the emulated lab's own memory: a JVM that maps its files from the machine's takes five seconds longer to start.
rund_copy() {
  local content
  content=$(cd "$RUND_DIST" && find . -printf '%p %s %T@\n' | sort)
  if [ "$content" != "$(cat "$FILES/rund.content" 2>/dev/null)" ]; then
    rm -rf "$FILES/rund"
    cp -a "$RUND_DIST" "$FILES/rund"
    echo "$content" >"$FILES/rund.content"
  fi
}

rund_up() {
  local program dist=$RUND_DIST
  mkdir -p "$LINKS"
  if [ "$1" = vm ] && [ -d "$RUND_DIST" ]; then
    rund_copy
    dist=$FILES/rund
  fi
  # Debian makes this name when the package is installed; in the lab it is only unpacked.
  for program in iptables ip6tables; do
    command -v "$program" >/dev/null || ln -s "$(command -v iptables-nft)" "$LINKS/$program"
  done
  for program in containerd-shim-rund-v2 rund; do
    rm -f "$LINKS/$program"
    if [ -x "$dist/bin/$program" ]; then ln -s "$dist/bin/$program" "$LINKS/$program"; fi
  done
  if [ "$1" = vm ]; then
    mkdir -p /etc/rund
    configuration >"$FILES/rund.toml"
    if ! cmp -s "$FILES/rund.toml" /etc/rund/rund.toml; then
      # An engine that has nothing to do would serve with what it has read.
      while pkill -f -- '--socket /run/rund/[^ ]*/engine.sock'; do sleep 0.2; done
      mv "$FILES/rund.toml" /etc/rund/rund.toml
    fi
  elif [ -n "${RUND_CLONE:-}" ]; then
    die "RUND_CLONE is for the emulated lab; on this machine set 'clone' in /etc/rund/rund.toml"
  fi
}

# rund's own, with what RUND_CLONE asks for.
configuration() {
  [ -f "$RUND_DIST/etc/rund.toml" ] || return 0
  sed "s/^clone = .*/clone = ${RUND_CLONE:-true}/" "$RUND_DIST/etc/rund.toml"
}

case $1 in
  up)
    mkdir -p "$FILES"
    if ! running; then
      modules=(loop dm-thin-pool tun vhost-vsock vhost-net)
      if [ "$2" = vm ]; then
        modprobe -qa "${modules[@]}" kvm-amd || die "the lab's kernel lacks one of ${modules[*]} kvm-amd"
      elif command -v modprobe >/dev/null; then
        # A machine's own kernel may have them built in; what is really missing is told where it is needed.
        modprobe -qa "${modules[@]}" || true
      fi
    fi
    pool_up
    rund_up "$2"
    containerd_up
    ;;
  down)
    containerd_down
    pool_down
    ;;
esac
