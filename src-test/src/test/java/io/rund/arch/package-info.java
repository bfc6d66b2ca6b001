/** Rules that the shape of the code keeps, checked on the compiled classes. */
package io.rund.arch;
