/* The program of the test image. `probe` prints what it sees, `probe view ARGS...` too; `probe TOOL
 * ...` is a tool. */
#include "probe.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "view") == 0)
        return print_view(argc, argv);
    int status = run_tool(argc - 1, argv + 1);
    if (status < 0)
        fprintf(stderr, "probe: no tool named %s\n", argv[1]);
    return status < 0 ? 125 : status;
}
