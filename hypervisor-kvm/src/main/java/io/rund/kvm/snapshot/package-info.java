/** The parts of a snapshot file: docs/snapshot-format.md. */
package io.rund.kvm.snapshot;
