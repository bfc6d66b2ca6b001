/**
 * From an empty VM to the kernel's first instruction: what firmware and boot loader would leave in
 * memory and in registers. Runs once for each VM, before its vCPUs do.
 */
package io.rund.kvm.boot;
