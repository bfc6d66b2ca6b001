package io.rund.shim;

import io.rund.core.sandbox.ContainerService;
import io.rund.core.ttrpc.TtrpcService;

/** Lets the command's tests serve what an engine serves. */
public final class EngineServiceAccess {
  private EngineServiceAccess() {}

  public static TtrpcService over(ContainerService containers) {
    return new EngineService(containers).service();
  }
}
