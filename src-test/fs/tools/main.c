/* fs-tool NAME ARGUMENT... */
#include "tools.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "tree") == 0)
        return tree(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "populate") == 0)
        return populate(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "hoard") == 0)
        return hoard(argc - 1, argv + 1);
    fprintf(stderr, "usage: fs-tool tree|populate|hoard ARGUMENT...\n");
    return 125;
}
