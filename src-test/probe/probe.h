/* The two halves of the probe: what a container's program sees, and small tools that tests run in
 * one. */
#pragma once

/* Prints the view of this process as `key=value` lines in a stable order. Returns an exit status.
 */
int print_view(int argc, char **argv);

/* The tool `host`. */
int show_host(int argc, char **argv);

/* The tool `relay`. */
int relay(int argc, char **argv);

/* Runs the tool that argv[0] names; -1 if there is none of that name. */
int run_tool(int argc, char **argv);
