/* Is KVM here fit for running guest kernels? Times 50 million instructions at CPL 0; exits 0 when
 * it is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 2000, LOOPS = 25000000, CODE = 0x1000 };

static void fail(const char *why) {
    printf("no usable KVM: %s\n", why);
    exit(1);
}

/* A backend that interprets may not look at signals in between: say so and leave from here. */
static void too_slow(int signal) {
    static const char text[] =
        "no usable KVM: guest kernel code is interpreted (over 2 s for 50 million instructions)\n";
    (void)signal;
    (void)!write(1, text, sizeof text - 1);
    _exit(1);
}

int main(void) {
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        fail("cannot open /dev/kvm");
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        fail("unknown API version");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        fail("KVM_CREATE_VM failed");
    /* mov ecx, LOOPS ; 1: dec ecx ; jnz 1b ; hlt   (16-bit real mode) */
    uint32_t loops = LOOPS;
    unsigned char code[] = {0x66, 0xb9, 0, 0, 0, 0, 0x66, 0x49, 0x75, 0xfc, 0xf4};
    memcpy(code + 2, &loops, sizeof loops);
    void *memory = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("no memory");
    memcpy((char *)memory + CODE, code, sizeof code);
    struct kvm_userspace_memory_region region = {.memory_size = 0x2000,
                                                 .userspace_addr = (uintptr_t)memory};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        fail("KVM_SET_USER_MEMORY_REGION failed");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vcpu < 0 || size < 0)
        fail("KVM_CREATE_VCPU failed");
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    struct kvm_sregs sregs;
    if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        fail("KVM_GET_SREGS failed");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    struct kvm_regs regs = {.rip = CODE, .rflags = 2};
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
        fail("KVM_SET_REGS failed");

    struct timespec begin, end;
    signal(SIGALRM, too_slow);
    alarm(LIMIT_MS / 1000);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (ioctl(vcpu, KVM_RUN, 0) < 0)
        fail("KVM_RUN failed");
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (run->exit_reason != KVM_EXIT_HLT)
        fail("the test guest did not reach its HLT");
    printf("KVM works: 50 million guest kernel instructions in %ld ms\n",
           (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000);
    return 0;
}
