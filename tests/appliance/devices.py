# SPDX-License-Identifier: BSD-3-Clause
"""The NICs with which the appliance is tested. As a program: their names."""
import typing


class Device(typing.NamedTuple):
    engine: str
    model: str  # of QEMU, with its options
    queues: int = 1
    has_iommu: bool = True
    is_pcie: bool = True  # behind a port that it can be unplugged from
    has_long_packets: bool = True  # takes those that need several buffers
    needs_all_drivers: bool = False  # the image for virtual machines, which boots faster, lacks its own
    most_descriptors: int = 0  # of a queue; 0: not said by DPDK's driver

    @property
    def driver(self):
        """Of berth-bind."""
        return "vfio-pci" if self.has_iommu else "uio_pci_generic"


VIRTIO = "virtio-net-pci,romfile=,disable-legacy=on"
DEVICES = {
    "virtio-net-vfio": Device("dpdk", f"{VIRTIO},mq=on,vectors=8,iommu_platform=on", queues=2),
    "virtio-net-uio": Device("dpdk", f"{VIRTIO},mq=on,vectors=8", queues=2, has_iommu=False),
    "vmxnet3": Device("dpdk", "vmxnet3,romfile=", has_long_packets=False, most_descriptors=4096),
    "e1000e": Device("dpdk", "e1000e,romfile=", needs_all_drivers=True, most_descriptors=4096),
    "e1000": Device("dpdk", "e1000,romfile=", is_pcie=False, needs_all_drivers=True, most_descriptors=4096),
    "virtio-net-xdp": Device("xdp", f"{VIRTIO},mq=on,vectors=10", queues=4, has_iommu=False),
    "e1000e-xdp": Device("xdp", "e1000e,romfile=", has_iommu=False, needs_all_drivers=True),
}

if __name__ == "__main__":
    print(*DEVICES)
