// Measures the round trip of a VM exit: guest to this program and back, for port and memory-mapped
// I/O on /dev/kvm. Benchmark B7 compares it with io.rund.bench.ExitRoundTrip, which runs the same
// guest code; keep the two alike.
//   kvm-exit EXITS ROUNDS
// prints {"pio_ns":...,"mmio_ns":...} for each round, nanoseconds an exit.
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RAM = 512 << 10, CODE = 0x1000, RESET_PORT = 0x64, RESET_COMMAND = 0xfe };
#define MMIO_BASE 0xd0000000u

// mov ecx, EXITS; loop: out 0x80, al; dec ecx; jnz loop; mov al, 0xfe; out 0x64, al
static const uint8_t PIO_CODE[] = {0x66, 0xb9, 0,    0,    0,    0,    0xe6, 0x80,
                                   0x66, 0x49, 0x75, 0xfa, 0xb0, 0xfe, 0xe6, 0x64};
// mov ecx, EXITS; loop: mov eax, [4]; dec ecx; jnz loop; mov al, 0xfe; out 0x64, al
static const uint8_t MMIO_CODE[] = {0x66, 0xb9, 0,    0,    0,    0,    0x66, 0xa1, 0x04,
                                    0x00, 0x66, 0x49, 0x75, 0xf8, 0xb0, 0xfe, 0xe6, 0x64};
enum { EXITS_OFFSET = 2 };

static int check(int result, const char *what) {
    if (result < 0)
        err(1, "%s", what);
    return result;
}

static void real_mode(int vcpu) {
    struct kvm_sregs sregs;
    check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = sregs.es.base = sregs.ss.base = 0;
    sregs.cs.selector = sregs.es.selector = sregs.ss.selector = 0;
    sregs.ds.base = MMIO_BASE;
    check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    struct kvm_regs regs = {.rip = CODE, .rsp = 0x8000, .rflags = 2};
    check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void run(int vcpu, struct kvm_run *run) {
    static volatile uint64_t device = 42;
    for (;;) {
        check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        switch (run->exit_reason) {
        case KVM_EXIT_IO: {
            const uint8_t *data = (const uint8_t *)run + run->io.data_offset;
            if (run->io.port == RESET_PORT && *data == RESET_COMMAND)
                return;
            break;
        }
        case KVM_EXIT_MMIO:
            if (!run->mmio.is_write) {
                uint64_t value = device;
                memcpy(run->mmio.data, &value, sizeof value);
            }
            break;
        default:
            errx(1, "KVM exit %u", run->exit_reason);
        }
    }
}

static double measure(const uint8_t *code, size_t size, uint32_t exits) {
    int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    check(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    uint8_t *ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ram == MAP_FAILED)
        err(1, "mmap");
    memcpy(ram + CODE, code, size);
    memcpy(ram + CODE + EXITS_OFFSET, &exits, sizeof exits);
    struct kvm_userspace_memory_region region = {.memory_size = RAM,
                                                 .userspace_addr = (uintptr_t)ram};
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    size_t run_size =
        (size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *area = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (area == MAP_FAILED)
        err(1, "mmap of the vCPU");
    real_mode(vcpu);

    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    run(vcpu, area);
    clock_gettime(CLOCK_MONOTONIC, &end);

    munmap(area, run_size);
    close(vcpu);
    munmap(ram, RAM);
    close(vm);
    close(kvm);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) /
           exits;
}

int main(int argc, char **argv) {
    if (argc != 3)
        errx(2, "usage: %s EXITS ROUNDS", argv[0]);
    uint32_t exits = (uint32_t)strtoul(argv[1], NULL, 10);
    for (int rounds = atoi(argv[2]); rounds > 0; rounds--) {
        double pio = measure(PIO_CODE, sizeof PIO_CODE, exits);
        double mmio = measure(MMIO_CODE, sizeof MMIO_CODE, exits);
        printf("{\"pio_ns\":%.1f,\"mmio_ns\":%.1f}\n", pio, mmio);
        fflush(stdout);
    }
    return 0;
}
