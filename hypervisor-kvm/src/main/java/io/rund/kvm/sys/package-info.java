/**
 * The KVM API of Linux (Documentation/virt/kvm/api.rst) in Java: numbers and layouts, and one class
 * for each of its three kinds of descriptor. For use by the VMM only.
 */
package io.rund.kvm.sys;
