/* Small tools that tests of file systems run in a container and on the host. Each returns an exit
 * status. */
#pragma once

int tree(int argc, char **argv);
int populate(int argc, char **argv);
int hoard(int argc, char **argv);
