// SPDX-License-Identifier: BSD-3-Clause
/* Why DPDK cannot drive a PCI device, on trees of files like sysfs. */
#include "dataplane/interface/pci_fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

#define NIC "0000:03:00.0"
#define DISK "0000:03:00.1"

static char root[] = "/tmp/berth-sysfs-XXXXXX";

static void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void sh(const char *format, ...)
{
	char command[1024], all[1200];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(all, sizeof(all), "cd %s && { %s; }", root, command);
	if (system(all) != 0)
		fail_msg("failed: %s", all);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/berth-sysfs-XXXXXX");
	assert_non_null(mkdtemp(root));
	sh("mkdir -p bus/pci/devices/" NIC " bus/pci/drivers kernel/iommu_groups");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void bind(const char *device, const char *driver)
{
	sh("mkdir -p bus/pci/drivers/%s bus/pci/devices/%s", driver, device);
	sh("ln -s ../../drivers/%s bus/pci/devices/%s/driver", driver, device);
}

static void group(const char *device)
{
	sh("mkdir -p kernel/iommu_groups/7/devices && touch kernel/iommu_groups/7/devices/%s", device);
	sh("ln -s ../../../../kernel/iommu_groups/7 bus/pci/devices/%s/iommu_group", device);
}

static void expect(const char *address, const char *fault)
{
	char text[BERTH_PCI_FAULT_BYTES];
	assert_int_equal(berth_pci_find_fault(root, address, text), fault != NULL);
	assert_string_equal(text, fault ? fault : "");
}

static void a_device_that_is_not_there(void **state)
{
	(void)state;
	expect("0000:09:00.0",
	       "no PCI device 0000:09:00.0 is there: lspci -D lists those that are; correct `device`");
	assert_false(berth_pci_is_withheld(root, "0000:09:00.0"));
}

static void a_device_without_a_driver(void **state)
{
	(void)state;
	expect(NIC, "the device " NIC
		    " has no driver: systemctl restart berth-bind (by hand: modprobe uio_pci_generic && "
		    "dpdk-devbind.py -b uio_pci_generic " NIC "); a kernel without that module cannot run it");
	group(NIC);
	expect(NIC, "the device " NIC " has no driver: systemctl restart berth-bind (by hand: modprobe vfio-pci && "
		    "dpdk-devbind.py -b vfio-pci " NIC "); a kernel without that module cannot run it");
}

static void a_device_of_the_kernel(void **state)
{
	(void)state;
	bind(NIC, "e1000e");
	group(NIC);
	sh("mkdir -p bus/pci/drivers/vfio-pci bus/pci/devices/" NIC "/net/eth1");
	expect(NIC, "the device " NIC
		    " is driven by e1000e of the kernel, as interface eth1: systemctl restart berth-bind (by "
		    "hand: dpdk-devbind.py -b vfio-pci " NIC "), which takes it from the host");
	assert_false(berth_pci_is_withheld(root, NIC));
}

static void vfio_without_an_iommu(void **state)
{
	(void)state;
	bind(NIC, "vfio-pci");
	expect(NIC, "the device " NIC
		    " is bound to vfio-pci and has no IOMMU: intel_iommu=on iommu=pt on the kernel's command "
		    "line (AMD: in the firmware), or systemctl restart berth-bind (by hand: modprobe "
		    "uio_pci_generic && dpdk-devbind.py -b uio_pci_generic " NIC ")");
	assert_true(berth_pci_is_withheld(root, NIC));
	sh("mkdir -p module/vfio/parameters && echo Y >module/vfio/parameters/enable_unsafe_noiommu_mode");
	expect(NIC, NULL);
}

static void a_group_with_another_device(void **state)
{
	(void)state;
	bind(NIC, "vfio-pci");
	bind(DISK, "ahci");
	group(NIC);
	group(DISK);
	expect(NIC,
	       "the device " NIC " is in IOMMU group 7 with " DISK
	       ", which ahci drives: dpdk-devbind.py -b vfio-pci " DISK ", too, or put the NIC into another slot");
	assert_true(berth_pci_is_withheld(root, NIC));
	sh("rm bus/pci/devices/" DISK "/driver");
	bind(DISK, "pcieport");
	expect(NIC, NULL);
	assert_false(berth_pci_is_withheld(root, NIC));
}

static void devices_that_dpdk_can_drive(void **state)
{
	(void)state;
	bind(NIC, "vfio-pci");
	group(NIC);
	expect(NIC, NULL);
	bind("0000:04:00.0", "uio_pci_generic");
	expect("0000:04:00.0", NULL);
	bind("0000:05:00.0", "mlx5_core");
	expect("0000:05:00.0", NULL);
}

static void addresses_in_every_form(void **state)
{
	(void)state;
	static const struct {
		const char *device, *address;
	} cases[] = {
		{"0000:03:00.0", NIC},	  {"03:00.0", NIC},
		{"03:00.0,iommu=1", NIC}, {"10000:e1:00.7", "10000:e1:00.7"},
		{"net_tap0", NULL},	  {"0000:03:00", NULL},
		{"03:00.0x", NULL},	  {"", NULL},
		{"03:20.0", NULL},	  {"0000:03:00.9", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char address[BERTH_PCI_ADDRESS_BYTES] = "";
		assert_int_equal(berth_pci_address(cases[i].device, address), cases[i].address != NULL);
		if (cases[i].address)
			assert_string_equal(address, cases[i].address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_that_is_not_there),  TEST(a_device_without_a_driver),
		TEST(a_device_of_the_kernel),	   TEST(vfio_without_an_iommu),
		TEST(a_group_with_another_device), TEST(devices_that_dpdk_can_drive),
		TEST(addresses_in_every_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
