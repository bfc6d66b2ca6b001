# shellcheck shell=bash
# Sourced after functions.sh by tests of networks: real CNI plugins on bridges of this script's own, gone with it.
# shellcheck disable=SC2154
plugins=/usr/lib/cni
bridge=rund-e2e0
networks=$work/cni
mountpoint -q /run/netns && netns_was_there=yes
mkdir -p "$networks" "$work/bin"
# Where the package is only unpacked, nobody has chosen between nft and legacy.
for program in iptables ip6tables; do
  command -v "$program" >/dev/null || ln -s "$(command -v "$program-nft")" "$work/bin/$program"
done
PATH=$work/bin:$PATH
# The first packet into a new bridge would wait for its neighbours to be asked, and IPv6 for a second more.
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# address_plan SUBNET...: what host-local gives out, with default routes.
address_plan() {
  local ranges='' subnet
  for subnet in "$@"; do ranges+="${ranges:+,}[{\"subnet\":\"$subnet\"}]"; done
  printf '{"type":"host-local","dataDir":"%s/ipam","ranges":[%s],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]}' "$work" "$ranges"
}

bridge_plugin() {
  printf '{"cniVersion":"0.4.0","name":"e2e","type":"bridge","bridge":"%s","isGateway":true,"mtu":%s,"ipam":%s' \
    "$bridge" "${2:-1500}" "$1"
}

network_end() {
  ip link del "$bridge" 2>/dev/null
  local name
  for name in $(ip netns list | awk '/^e2e-/ { print $1 }'); do ip netns del "$name"; done
  # ip(8) has made a mount of the folder.
  [ "${netns_was_there:-}" ] || umount /run/netns
  script_end
}
trap network_end EXIT

# with_cni COMMAND...: a ctr for which the plugins and $networks are where it looks for them.
with_cni() {
  # shellcheck disable=SC2016
  unshare -m bash -c 'mkdir -p /etc/cni/net.d /opt/cni/bin && mount --bind "$0" /etc/cni/net.d && mount --bind "$1" /opt/cni/bin &&
    shift && exec "$@"' "$networks" "$plugins" "$@"
}

# cni ADD|CHECK|DEL NAMESPACE CONFIG: runs the plugin that CONFIG, without its last brace, names; prints its result.
cni() {
  local type=${3#*\"type\":\"}
  CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=$plugins \
    "$plugins/${type%%\"*}" <<<"$3}"
}

# in_pod NAMESPACE COMMAND...
in_pod() { ip netns exec "$@"; }
