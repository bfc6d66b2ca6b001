/**
 * The benchmarks of `make bench`: two things measured in turn in one place, so that only their
 * ratio counts.
 */
package io.rund.bench;
