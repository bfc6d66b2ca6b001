/** What a guest agent gives: the SPI that guest-agent implements and the sandbox manager calls. */
package io.rund.core.agent;
