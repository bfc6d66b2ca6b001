/** The configuration file, read once and never changed. */
package io.rund.core.config;
