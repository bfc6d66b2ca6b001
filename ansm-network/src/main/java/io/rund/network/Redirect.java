package io.rund.network;

import com.sun.jna.LastErrorException;
import io.rund.core.linux.Linux;

/**
 * Whatever arrives at one interface leaves through another, before the namespace's own network
 * stack sees it: an ingress queueing discipline with one filter for all packets and the action
 * `mirred egress redirect` (include/uapi/linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h).
 */
final class Redirect {
  private static final int RTM_NEWQDISC = 36;
  private static final int RTM_DELQDISC = 37;
  private static final int RTM_NEWTFILTER = 44;
  private static final int RTM_DELTFILTER = 45;
  private static final int TCA_KIND = 1;
  private static final int TCA_OPTIONS = 2;
  private static final int TCA_MATCHALL_ACT = 2;
  private static final int TCA_U32_SEL = 5;
  private static final int TCA_U32_ACT = 7;
  private static final int TCA_ACT_KIND = 1;
  private static final int TCA_ACT_OPTIONS = 2;
  private static final int TCA_MIRRED_PARMS = 2;
  private static final int TCA_EGRESS_REDIR = 1;
  private static final int TC_ACT_STOLEN = 4;
  private static final int TC_U32_TERMINAL = 1;

  private static final int INGRESS_HANDLE = 0xffff_0000;
  private static final int INGRESS_PARENT = 0xffff_fff1;

  /** Where filters of `ingress` hang, and those of `clsact` for what arrives. */
  private static final int FILTER_PARENT = 0xffff_fff2;

  /** Priority 0x7275 ("ru"), all protocols (ETH_P_ALL, big endian): others' filters come first. */
  private static final int FILTER_INFO = 0x7275_0300;

  private final Netlink netlink;

  Redirect(Netlink netlink) {
    this.netlink = netlink;
  }

  /**
   * Redirects; nothing is left if that fails.
   *
   * @return whether the interface had no queueing discipline for what arrives, which {@link
   *     #remove} has to know
   */
  boolean add(int from, int to) throws LastErrorException {
    boolean made = makeQdisc(from);
    if (!made) {
      removeFilter(from);
    }
    try {
      addFilter(from, to);
    } catch (LastErrorException e) {
      if (made) {
        remove(from, true);
      }
      throw e;
    }
    return made;
  }

  private void addFilter(int from, int to) {
    try {
      addMatchall(from, to);
    } catch (LastErrorException e) {
      if (e.getErrorCode() != Linux.ENOENT) {
        throw e;
      }
      // The kernel has no such classifier; older than that one is u32.
      addU32(from, to);
    }
  }

  private boolean makeQdisc(int link) {
    int flags = Netlink.REQUEST | Netlink.ACK | Netlink.CREATE | Netlink.EXCL;
    try {
      netlink.change(
          tc(RTM_NEWQDISC, flags, link, INGRESS_HANDLE, INGRESS_PARENT, 0)
              .attribute(TCA_KIND, "ingress"));
      return true;
    } catch (LastErrorException e) {
      if (e.getErrorCode() == Linux.EEXIST) {
        return false;
      }
      throw e;
    }
  }

  private void addMatchall(int from, int to) {
    Message filter = filter(from).attribute(TCA_KIND, "matchall").nest(TCA_OPTIONS);
    netlink.change(action(filter, TCA_MATCHALL_ACT, to).end());
  }

  private void addU32(int from, int to) {
    Message filter = filter(from).attribute(TCA_KIND, "u32").nest(TCA_OPTIONS);
    // struct tc_u32_sel with one key, whose mask of zero matches everything.
    filter.begin(TCA_U32_SEL).u8(TC_U32_TERMINAL).u8(0).u8(1).u8(0).zero(12).zero(16).end();
    netlink.change(action(filter, TCA_U32_ACT, to).end());
  }

  private static Message filter(int link) {
    int flags = Netlink.REQUEST | Netlink.ACK | Netlink.CREATE | Netlink.EXCL;
    return tc(RTM_NEWTFILTER, flags, link, 0, FILTER_PARENT, FILTER_INFO);
  }

  private static Message action(Message filter, int attribute, int to) {
    return filter
        .nest(attribute)
        .nest(1)
        .attribute(TCA_ACT_KIND, "mirred")
        .nest(TCA_ACT_OPTIONS)
        .begin(TCA_MIRRED_PARMS)
        .zero(8)
        .u32(TC_ACT_STOLEN)
        .zero(8)
        .u32(TCA_EGRESS_REDIR)
        .u32(to)
        .end()
        .end()
        .end()
        .end();
  }

  /**
   * Undoes {@link #add}.
   *
   * @param made what that returned
   */
  void remove(int from, boolean made) throws LastErrorException {
    if (made) {
      netlink.change(
          tc(RTM_DELQDISC, Netlink.REQUEST | Netlink.ACK, from, INGRESS_HANDLE, INGRESS_PARENT, 0));
    } else {
      removeFilter(from);
    }
  }

  /** Ours, or the one that an engine which was killed has left. */
  private void removeFilter(int link) {
    try {
      netlink.change(
          tc(RTM_DELTFILTER, Netlink.REQUEST | Netlink.ACK, link, 0, FILTER_PARENT, FILTER_INFO));
    } catch (LastErrorException e) {
      if (e.getErrorCode() != Linux.ENOENT) {
        throw e;
      }
    }
  }

  /** A message that begins with struct tcmsg. */
  private static Message tc(int type, int flags, int link, int handle, int parent, int info) {
    return new Message(type, flags).u32(0).u32(link).u32(handle).u32(parent).u32(info);
  }
}
