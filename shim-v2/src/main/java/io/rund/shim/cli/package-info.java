/** The rund command: a client of engines. The engine loads nothing of it. */
package io.rund.shim.cli;
