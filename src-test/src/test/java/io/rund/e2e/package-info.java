/**
 * What a user of containerd sees of rund, tested in the lab: each class is one promise of
 * docs/specification.md. Scripts run in the lab, assertions here.
 */
package io.rund.e2e;
