// Slots: virtio-mmio transports that the VM booted with, some empty. Linux leaves an empty one
// (device id 0) without a driver (drivers/virtio/virtio_mmio.c, virtio_mmio_probe: -ENODEV); once
// the VMM has filled it, writing its name to the driver's `bind` probes it again.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

// Both do nothing when it is so already.
bool slot_bind(uint32_t slot, struct failure *failure);
bool slot_unbind(uint32_t slot, struct failure *failure);

// Finds the disk of a bound slot, such as /dev/vda; empty when its device is none.
void slot_find_disk(uint32_t slot, char path[64]);

// Binds the slot and finds its disk.
bool slot_disk(uint32_t slot, char path[64], struct failure *failure);

// Binds the slot and finds its network interface, such as eth0.
bool slot_interface(uint32_t slot, char name[16], struct failure *failure);
