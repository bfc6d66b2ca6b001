package io.rund.core.sandbox;

import io.rund.core.agent.AgentConnector;
import io.rund.core.config.RundConfig;
import io.rund.core.config.RundConfig.Isolation;
import io.rund.core.error.ErrorCode;
import io.rund.core.error.RundException;
import io.rund.core.hypervisor.Hypervisor;
import io.rund.core.hypervisor.Pool;
import io.rund.core.hypervisor.VirtualMachine;
import io.rund.core.hypervisor.VmConfig;
import io.rund.core.hypervisor.VmTemplate;
import io.rund.core.linux.EventLoop;
import io.rund.core.network.PodNetwork;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes sandboxes; the same for all of an engine. */
final class SandboxBoot implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SandboxBoot.class);
  private static final Duration TEMPLATE_DELAY = Duration.ofSeconds(1);

  private final GuestStart guests;
  private final Templates templates;
  private final PodNetwork network;
  private final EventLoop loop;
  private final CpuGroups cpus;
  private final RundConfig config;

  SandboxBoot(
      Hypervisor hypervisor,
      AgentConnector connector,
      PodNetwork network,
      EventLoop loop,
      CpuGroups cpus,
      RundConfig config) {
    this.guests = new GuestStart(hypervisor, connector, config.bootTimeout());
    Optional<Path> kept = config.cloning() ? config.templateDir() : Optional.empty();
    this.templates = new Templates(TEMPLATE_DELAY, new TemplateFiles(kept));
    this.network = network;
    this.loop = loop;
    this.cpus = cpus;
    this.config = config;
  }

  RundConfig config() {
    return config;
  }

  /**
   * Brings up a VM to the agent's first answer. On failure nothing is left of the sandbox.
   *
   * @param prepare gives the VM what its container needs
   */
  Sandbox boot(
      CreateRequest request,
      OciSpec spec,
      SandboxSize size,
      Consumer<VirtualMachine> prepare,
      Timeline timeline) {
    boolean cloning = cloning(spec);
    return begin(
        request,
        spec,
        size,
        (vm, hostname) ->
            cloning
                ? cloneOrBoot(vm, hostname, prepare, timeline)
                : guests.boot(vm, hostname, prepare, timeline),
        timeline);
  }

  /**
   * Goes on with a VM of this size whose containers are known to its agent.
   *
   * @param prepare gives the VM the host's files that it had
   */
  Sandbox restore(
      CreateRequest request,
      OciSpec spec,
      SandboxSize size,
      VmTemplate machine,
      Consumer<VirtualMachine> prepare,
      Timeline timeline) {
    return begin(
        request,
        spec,
        size,
        (vm, hostname) -> guests.clone(machine, vm.id(), hostname, prepare, timeline),
        timeline);
  }

  /** What a machine was saved as. */
  VmTemplate load(SandboxSize size, FileChannel file, Timeline timeline) throws IOException {
    return guests.load(vmConfig("snapshot", size), file, timeline);
  }

  /** Brings a guest to its agent's first answer. */
  private interface Guest {
    GuestStart.Started start(VmConfig vm, String hostname);
  }

  private Sandbox begin(
      CreateRequest request, OciSpec spec, SandboxSize size, Guest starting, Timeline timeline) {
    CpuShare share = CpuShare.of(spec);
    // Ids are unique in a containerd namespace; neither name may have a colon.
    String id = request.namespace() + ":" + request.id();
    AnchorStart anchorStart =
        anchor(request.id(), spec, spec.network().orElseGet(NetworkNamespace.Fresh::new), timeline);
    CpuGroup cpu = cpus.take();
    GuestStart.Started guest = null;
    try {
      String hostname = spec.hostname().orElseGet(HostName::get);
      guest = starting.start(vmConfig(id, size), hostname);
      long entering = System.nanoTime();
      cpu.enter(guest.vm().vcpuThreads());
      // Not before, since a boot at the pace of a small quota helps nobody.
      Sandbox sandbox =
          new Sandbox(
              id,
              size,
              PodMounts.of(spec),
              guest.vm(),
              anchorStart.get(),
              guest.agent(),
              guest.hello(),
              network,
              cpu);
      sandbox.cpuShare(share);
      timeline.phase("enter cgroup", entering);
      return sandbox;
    } catch (Throwable e) {
      try (cpu;
          VirtualMachine _ = guest == null ? null : guest.vm()) {
        // The VM first: its threads are in the cgroup.
      } finally {
        anchorStart.discard();
      }
      throw e;
    }
  }

  /**
   * Whether this sandbox may be a clone. Not where an engine has one sandbox only, nor with a
   * console, which is each guest's own.
   */
  private boolean cloning(OciSpec spec) {
    boolean wanted =
        spec.annotation(RundConfig.CLONE_ANNOTATION).map(RundConfig::cloneOf).orElse(true);
    return wanted
        && config.cloning()
        && config.isolation() != Isolation.SANDBOX
        && !config.debugConsole();
  }

  /** A template is wanted as soon as one would have been of use. */
  private GuestStart.Started cloneOrBoot(
      VmConfig vm, String hostname, Consumer<VirtualMachine> prepare, Timeline timeline) {
    TemplateShape shape = TemplateShape.of(vm);
    VmConfig own = vm.withId("template");
    Optional<VmTemplate> template = templates.find(shape, file -> guests.load(own, file, timeline));
    if (template.isPresent()) {
      GuestStart.Started clone = clone(shape, template.get(), vm.id(), hostname, timeline);
      if (clone != null) {
        templates.worked(shape);
        return prepared(clone, prepare, timeline);
      }
    }
    GuestStart.Started booted = guests.boot(vm, hostname, prepare, timeline);
    templates.want(shape, () -> guests.template(own));
    return booted;
  }

  /**
   * Null if the clone is not to be had; then the template is not used again, unless it is the host
   * that has no room.
   */
  private GuestStart.Started clone(
      TemplateShape shape, VmTemplate template, String id, String hostname, Timeline timeline) {
    try {
      return guests.clone(template, id, hostname, vm -> {}, timeline);
    } catch (RundException e) {
      log.warn("sandbox {} boots cold, since its clone failed: {}", id, e.getMessage(), e);
      if (e.code() != ErrorCode.RESOURCE_EXHAUSTED) {
        templates.discard(shape, template);
      }
      return null;
    }
  }

  /** What a cold guest finds at boot, a clone finds later: it is plugged once the clone works. */
  private static GuestStart.Started prepared(
      GuestStart.Started clone, Consumer<VirtualMachine> prepare, Timeline timeline) {
    long began = System.nanoTime();
    try {
      prepare.accept(clone.vm());
      timeline.phase("plug devices", began);
      return clone;
    } catch (Throwable e) {
      clone.vm().close();
      throw e;
    }
  }

  /** Begins to start the anchor of a container, in the cgroup of its specification. */
  AnchorStart anchor(String id, OciSpec spec, NetworkNamespace network, Timeline timeline) {
    return AnchorStart.begin(
        () -> {
          long began = System.nanoTime();
          Anchor anchor =
              Anchor.start(
                  loop,
                  config.anchor(),
                  id,
                  network,
                  spec.cgroupsPath().flatMap(Cgroups::directory));
          timeline.phase("anchor", began);
          return anchor;
        });
  }

  private VmConfig vmConfig(String id, SandboxSize size) {
    Optional<Path> console =
        config.debugConsole()
            ? Optional.of(config.stateDir().resolve(id + "-console.log"))
            : Optional.empty();
    return new VmConfig(
        id,
        size.vcpus(),
        size.memoryBytes(),
        config.kernel(),
        config.initramfs(),
        "",
        config.slots(),
        console);
  }

  Pool templates() {
    return templates.pool();
  }

  boolean isMakingTemplate() {
    return templates.isMaking();
  }

  /** Releases the templates. Sandboxes go on. */
  @Override
  public void close() {
    templates.close();
  }
}
