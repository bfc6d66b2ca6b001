/** Linux as rund needs it: system calls, descriptors, the event loop. Everyone may call it. */
package io.rund.core.linux;
