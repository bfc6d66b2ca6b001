package io.rund.core.sandbox;

import java.nio.file.Path;
import java.util.Optional;

/**
 * A container that is to go on from the state of another one.
 *
 * @param id unique in the namespace
 * @param stdio what its program's streams are now; whether it has a terminal its state says
 * @param network the network namespace whose interfaces it gets; empty for one of its own, where
 *     there are none
 */
public record RestoredContainer(
    String namespace, String id, CreateRequest.StdioPaths stdio, Optional<Path> network) {}
