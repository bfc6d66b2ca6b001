package io.rund.core.hypervisor;

/**
 * What is made before a sandbox wants it, so that none has to wait.
 *
 * @param name of one of it
 * @param ready how many wait for a sandbox
 * @param most how many are kept so at most
 */
public record Pool(String name, int ready, int most) {}
