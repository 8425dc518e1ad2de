// SPDX-License-Identifier: BSD-3-Clause
/* PCI devices of ports that go and come back, on a tree of files like sysfs. */
#include "controlplane/engine/pci/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"

#define NIC "0000:03:00.0"

static char root[32];
static struct berth_pci_devices devices;
static struct berth_interface_config interfaces[2];
static struct berth_config config = {.interfaces = interfaces, .n_interfaces = 2};

static void run(const char *command)
{
	char all[512];
	snprintf(all, sizeof(all), "cd %s && %s", root, command);
	if (system(all) != 0)
		fail_msg("failed: %s", all);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/berth-sysfs-XXXXXX");
	assert_non_null(mkdtemp(root));
	run("mkdir -p bus/pci/drivers/uio_pci_generic bus/pci/devices");
	strcpy(interfaces[0].name, "nic0");
	strcpy(interfaces[0].device, "03:00.0");
	strcpy(interfaces[1].name, "eth1");
	devices = (struct berth_pci_devices){.sysfs = root};
	berth_pci_devices_list(&devices, &config);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void plug(void)
{
	run("mkdir bus/pci/devices/" NIC " && ln -s ../../drivers/uio_pci_generic bus/pci/devices/" NIC "/driver");
}

/* Whether berth-dpdk is to start again. */
static bool look(const char *name, bool is_absent, char fault[BERTH_ERROR_BYTES])
{
	json_t *port = json_pack("{s:s, s:b}", "name", name, "absent", is_absent);
	const bool restarts = berth_pci_devices_follow(&devices, port, fault);
	json_decref(port);
	return restarts;
}

static void a_device_that_goes_and_returns_restarts_the_engine_once_each(void **state)
{
	(void)state;
	char fault[BERTH_ERROR_BYTES] = "";
	plug();
	assert_false(look("nic0", false, fault));
	assert_string_equal(fault, "");
	run("rm -r bus/pci/devices/" NIC);
	assert_true(look("nic0", false, fault));
	assert_non_null(strstr(fault, "nic0: no PCI device " NIC " is there"));
	assert_false(look("nic0", true, fault));
	plug();
	assert_true(look("nic0", true, fault));
	assert_false(look("nic0", false, fault));
	assert_string_equal(fault, "");
}

static void a_device_that_seems_usable_and_does_not_open_is_tried_once(void **state)
{
	(void)state;
	char fault[BERTH_ERROR_BYTES] = "";
	assert_false(look("nic0", true, fault));
	plug();
	assert_true(look("nic0", true, fault));
	for (int i = 0; i < 3; i++)
		assert_false(look("nic0", true, fault));
	assert_string_equal(fault, "nic0: berth-dpdk has not opened the device " NIC
				   "; if this stays, its messages say why");
}

/* berthd was restarted meanwhile. */
static void a_device_that_returned_while_nobody_looked_is_opened(void **state)
{
	(void)state;
	char fault[BERTH_ERROR_BYTES] = "";
	json_t *port = json_pack("{s:s, s:b, s:b}", "name", "nic0", "absent", true, "had_fault", true);
	plug();
	assert_true(berth_pci_devices_follow(&devices, port, fault));
	assert_false(berth_pci_devices_follow(&devices, port, fault));
	json_object_set_new(port, "had_fault", json_false());
	strcpy(fault, "");
	assert_false(berth_pci_devices_follow(&devices, port, fault));
	json_decref(port);
}

static void other_ports_are_not_looked_at(void **state)
{
	(void)state;
	char fault[BERTH_ERROR_BYTES] = "as it was";
	assert_false(look("eth1", false, fault));
	assert_string_equal(fault, "as it was");
}

static void a_configuration_with_a_new_device_that_cannot_be_used_is_refused(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	/* One that is in force may be away. */
	assert_int_equal(berth_pci_devices_check(&devices, &config, error), 0);
	devices.n = 0;
	assert_int_not_equal(berth_pci_devices_check(&devices, &config, error), 0);
	assert_string_equal(error, "interface nic0: no PCI device " NIC " is there: lspci -D lists those that are; "
				   "correct `device` (interfaces[0])");
	plug();
	assert_int_equal(berth_pci_devices_check(&devices, &config, error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_device_that_goes_and_returns_restarts_the_engine_once_each),
		TEST(a_device_that_seems_usable_and_does_not_open_is_tried_once),
		TEST(a_device_that_returned_while_nobody_looked_is_opened),
		TEST(other_ports_are_not_looked_at),
		TEST(a_configuration_with_a_new_device_that_cannot_be_used_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
