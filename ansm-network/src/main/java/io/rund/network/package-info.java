/**
 * Networks of pods. Today: a tap in the namespace that a CNI plugin has set up, joined to the
 * plugin's interface by traffic control.
 */
package io.rund.network;
