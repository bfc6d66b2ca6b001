/** The model: sandboxes, their containers and processes, and the manager that owns them all. */
package io.rund.core.sandbox;
