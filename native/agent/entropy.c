#define _GNU_SOURCE
#include "entropy.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ENTROPY_MAX = 512 };

bool entropy_add(const void *bytes, size_t length, struct failure *failure) {
    if (length == 0) {
        return true;
    }
    if (length > ENTROPY_MAX) {
        return fail(failure, STATUS_INVALID_ARGUMENT, "%zu bytes of entropy, at most %d", length,
                    ENTROPY_MAX);
    }
    union {
        struct rand_pool_info info;
        char space[sizeof(struct rand_pool_info) + ENTROPY_MAX];
    } pool = {.info = {.entropy_count = (int)length * 8, .buf_size = (int)length}};
    memcpy(pool.info.buf, bytes, length);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    // Added bytes are used at the next reseeding, which is up to a minute away: it is made now, for
    // the generators of all CPUs.
    bool added =
        fd >= 0 && ioctl(fd, RNDADDENTROPY, &pool.info) == 0 && ioctl(fd, RNDRESEEDCRNG, NULL) == 0;
    if (!added) {
        fail_errno(failure, "seeding the random number generator");
    }
    if (fd >= 0) {
        close(fd);
    }
    return added;
}
