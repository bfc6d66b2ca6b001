package io.rund.shim;

import io.rund.core.config.RundConfig;
import io.rund.core.error.RundException;
import io.rund.kvm.KvmHypervisor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The engine's program, started by containerd-shim-rund-v2 (native/launcher). Ends with status 0
 * when it has been idle or was told to (SIGTERM), with 1 when it cannot start.
 */
public final class EngineMain {
  private EngineMain() {}

  /** Serves until nobody needs it. */
  public static void main(String[] arguments) throws InterruptedException {
    Readiness readiness = new Readiness(-1);
    KvmHypervisor hypervisor = new KvmHypervisor();
    Engine engine;
    try {
      EngineOptions options = EngineOptions.parse(arguments);
      readiness = new Readiness(options.readyFd());
      RundConfig config = RundConfig.read(options.config(), InstallRoot.find());
      EngineLog.open(options.log(), config.logLevel());
      engine = new Engine(options, config, hypervisor);
    } catch (RundException e) {
      readiness.failed(e.getMessage());
      System.exit(1);
      return;
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(engine, hypervisor), "shutdown"));
    engine.expectContainerd();
    readiness.ready();
    Logger log = LoggerFactory.getLogger(EngineMain.class);
    log.info("rund {} serves, pid {}", Version.current(), ProcessHandle.current().pid());
    engine.awaitIdle();
    System.exit(0);
  }

  private static void close(Engine engine, KvmHypervisor hypervisor) {
    engine.close();
    hypervisor.close();
  }
}
