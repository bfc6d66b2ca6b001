package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The network of a pod, set up by the real CNI plugins bridge, ptp and portmap. */
@E2e
@Tag("containerd")
class PodNetworkTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(8);

  private static Result script(String script, String... arguments) {
    String functions = Lab.MODULE.resolve("src/test/sh/network.sh").toString();
    return Lab.script(TIMEOUT, ". %s\n%s".formatted(functions, script), arguments);
  }

  @Test
  void aContainerWithCniIsReachedAndReachesOthers() {
    Result result =
        script(
            """
            echo "$(bridge_plugin "$(address_plan 10.97.0.0/24 fd97::/64)" 1400)}" >$networks/10-e2e.conf
            with_cni ctr run -d --null-io --cni --snapshotter "$snapshotter" --runtime "$runtime" $image "$1" \\
              sh -c 'mkdir /www; echo guest >/www/index.html; exec httpd -f -h /www' || exit
            guest() { ctr task exec --exec-id x$RANDOM "$id" "$@"; }
            id=$1
            four=$(guest ip -4 addr show eth0 | sed -n 's|.*inet \\([0-9.]*\\)/.*|\\1|p')
            six=$(guest ip -6 addr show eth0 | sed -n 's|.*inet6 \\(fd97[^/]*\\)/.*|\\1|p')
            say four "$four"
            say mtu "$(guest cat /sys/class/net/eth0/mtu)"
            say mac "$(guest cat /sys/class/net/eth0/address)"
            pid=$(ctr task ls | awk -v id="$1" '$1 == id { print $2 }')
            say host_mac "$(nsenter -t $pid -n ip -o link show eth0 | sed 's|.*ether \\([^ ]*\\).*|\\1|')"
            busybox ping -c 2 -W 20 "$four" >&2; say ping4 $?
            busybox ping -6 -c 2 -W 20 "$six" >&2; say ping6 $?
            say http "$(busybox wget -q -O - "http://$four/")"
            say http6 "$(busybox wget -q -O - "http://[$six]/")"
            mkdir $work/www; echo host >$work/www/index.html; busybox httpd -f -p 8097 -h $work/www & server=$!
            say out "$(guest wget -q -O - http://10.97.0.1:8097/)"
            say out6 "$(guest wget -q -O - "http://[fd97::1]:8097/")"
            kill $server
            say phase "$(rund timeline "$1" | grep -c 'attach network')"
            discard "$1"
            """,
            Lab.id("cni"));
    assertTrue(result.value("four").startsWith("10.97.0."), result::toString);
    result.expect("mtu", "1400");
    assertEquals(result.value("host_mac"), result.value("mac"), result::toString);
    result.expect("ping4", "0").expect("ping6", "0");
    result.expect("http", "guest").expect("http6", "guest");
    result.expect("out", "host").expect("out6", "host").expect("phase", "1");
  }

  @Test
  void podsOfANamespaceThatIsThereBeforeThem() {
    Result result =
        script(
            """
            plan=$(address_plan 10.98.0.0/24)
            for pod in e2e-a e2e-b; do
              ip netns add $pod; ip -n $pod link set lo up
              cni ADD $pod "$(bridge_plugin "$plan")" >$work/$pod || exit
            done
            ports='"portMappings":[{"hostPort":8098,"containerPort":80,"protocol":"tcp"}]'
            map="{\\"cniVersion\\":\\"0.4.0\\",\\"name\\":\\"e2e\\",\\"type\\":\\"portmap\\",\\"snat\\":true"
            map="$map,\\"runtimeConfig\\":{$ports},\\"prevResult\\":$(cat $work/e2e-a)"
            cni ADD e2e-a "$map" >/dev/null; say portmap $?
            before=$(in_pod e2e-a ip -o link | sed 's/state [A-Z]*//; s/ qlen [0-9]*/ /'; in_pod e2e-a tc qdisc)
            launch --with-ns network:/run/netns/e2e-a $image "$1" \\
              sh -c 'mkdir /www; probe emit 8000000 1 >/www/large; exec httpd -f -h /www' || exit
            launch --with-ns network:/run/netns/e2e-b $image "$2" probe sleep || exit
            a=$(sed -n 's|.*"address": *"\\(10[^/]*\\)/.*|\\1|p' $work/e2e-a)
            say taps "$(in_pod e2e-a ip -o link | grep -c 'rund0')"
            say wanted "$("$PROBE" emit 8000000 1 | "$PROBE" hash)"
            say pod_to_pod "$(ctr task exec --exec-id p "$2" sh -c "wget -q -O - http://$a/large | probe hash")"
            say from_host "$(busybox wget -q -O - http://$a/large | "$PROBE" hash)"
            say mapped "$(busybox wget -q -O - http://10.98.0.1:8098/large | "$PROBE" hash)"
            say forwarded "$(in_pod e2e-a busybox wget -q -O - http://127.0.0.1/large | "$PROBE" hash)"
            in_pod e2e-a busybox wget -q -O - http://127.0.0.1:81/ >&2; say closed_port $(($? != 0))
            cni CHECK e2e-a "$(bridge_plugin "$plan"),\\"prevResult\\":$(cat $work/e2e-a)" >&2; say check $?
            discard "$1" "$2"
            after=$(in_pod e2e-a ip -o link | sed 's/state [A-Z]*//; s/ qlen [0-9]*/ /'; in_pod e2e-a tc qdisc)
            [ "$before" = "$after" ] || diff <(echo "$before") <(echo "$after") >&2; say left $?
            cni DEL e2e-a "$map" >&2
            for pod in e2e-a e2e-b; do cni DEL $pod "$(bridge_plugin "$plan")" >&2; say del $?; done
            """,
            Lab.id("pod"),
            Lab.id("pod"));
    String wanted = result.value("wanted");
    result.expect("portmap", "0").expect("taps", "1");
    result.expect("pod_to_pod", wanted).expect("from_host", wanted).expect("mapped", wanted);
    result.expect("forwarded", wanted).expect("closed_port", "1");
    result.expect("check", "0").expect("left", "0");
    assertEquals(List.of("0", "0"), result.values("del"), result::toString);
  }

  @Test
  void theRoutesOfThePluginPtp() {
    Result result =
        script(
            """
            ip netns add e2e-p
            plan=$(address_plan 10.99.0.0/24)
            ptp="{\\"cniVersion\\":\\"0.4.0\\",\\"name\\":\\"e2e\\",\\"type\\":\\"ptp\\",\\"ipam\\":$plan"
            cni ADD e2e-p "$ptp" >$work/result || exit
            launch --with-ns network:/run/netns/e2e-p $image "$1" probe sleep || exit
            a=$(sed -n 's|.*"address": *"\\(10[^/]*\\)/.*|\\1|p' $work/result)
            say host "$(in_pod e2e-p ip -4 route | sed 's/ proto [a-z]*//; s/ *$//' | sort | tr '\\n' ';')"
            say guest "$(ctr task exec --exec-id r "$1" ip -4 route | sed 's/ proto [a-z]*//; s/ *$//' | tr -s ' ' | sort | tr '\\n' ';')"
            busybox ping -c 2 -W 20 "$a" >&2; say ping $?
            ctr task exec --exec-id p "$1" ping -c 2 -W 20 10.99.0.1 >&2; say back $?
            discard "$1"
            cni DEL e2e-p "$ptp" >&2; say del $?
            """,
            Lab.id("ptp"));
    assertEquals(result.value("host"), result.value("guest"), result::toString);
    result.expect("ping", "0").expect("back", "0").expect("del", "0");
  }

  /** kubernetes.io/ingress-bandwidth and egress-bandwidth: three megabytes at one a second. */
  @Test
  void theLimitsOfThePluginBandwidth() {
    Result result =
        script(
            """
            modprobe ifb numifbs=0 # loaded on demand it would bring two that stay
            ip netns add e2e-w; ip -n e2e-w link set lo up
            plugin=$(bridge_plugin "$(address_plan 10.96.0.0/24)")
            cni ADD e2e-w "$plugin" >$work/result || exit
            limits='"ingressRate":8000000,"ingressBurst":800000,"egressRate":8000000,"egressBurst":800000'
            limits="{\\"cniVersion\\":\\"0.4.0\\",\\"name\\":\\"e2e\\",\\"type\\":\\"bandwidth\\",$limits"
            limits="$limits,\\"prevResult\\":$(cat $work/result)"
            cni ADD e2e-w "$limits" >/dev/null; say limited $?
            launch --with-ns network:/run/netns/e2e-w $image "$1" \\
              sh -c 'mkdir /www; probe emit 3000000 1 >/www/large; exec httpd -f -h /www' || exit
            a=$(sed -n 's|.*"address": *"\\(10[^/]*\\)/.*|\\1|p' $work/result)
            mkdir $work/www; "$PROBE" emit 3000000 1 >$work/www/large
            busybox httpd -f -p 8096 -h $work/www & server=$!
            until_true 60 busybox wget -q -O /dev/null "http://$a/"
            say wanted "$("$PROBE" hash <$work/www/large)"
            begin=$(date +%s%3N)
            say egress "$(busybox wget -q -O - "http://$a/large" | "$PROBE" hash)"
            middle=$(date +%s%3N)
            say ingress "$(ctr task exec --exec-id i "$1" sh -c 'wget -q -O - http://10.96.0.1:8096/large | probe hash')"
            say egress_ms $((middle - begin)); say ingress_ms $(($(date +%s%3N) - middle))
            kill $server
            discard "$1"
            cni DEL e2e-w "$limits" >&2; say del $?
            cni DEL e2e-w "$plugin" >&2; say del $?
            """,
            Lab.id("bandwidth"));
    String wanted = result.value("wanted");
    result.expect("limited", "0").expect("egress", wanted).expect("ingress", wanted);
    // Without what a burst lets through at once, and a tenth for clocks: nothing makes a limit
    // slower.
    assertTrue(result.number("egress_ms") > 2600, result::toString);
    assertTrue(result.number("ingress_ms") > 2600, result::toString);
    assertEquals(List.of("0", "0"), result.values("del"), result::toString);
  }

  @Test
  void aContainerWithoutPluginsHasOnlyALoopbackInterface() {
    script(
            """
            launch $image "$1" probe sleep || exit
            say links "$(ctr task exec --exec-id l "$1" ls /sys/class/net | tr '\\n' ' ')"
            discard "$1"
            """,
            Lab.id("lo"))
        .expect("links", "lo");
  }
}
