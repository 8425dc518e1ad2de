// SPDX-License-Identifier: BSD-3-Clause
/*
 * Packets that the kernel sends, from a real TAP device to the ring of worker 0. A raw socket sends through the TAP
 * ext0 in a network namespace of the test.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/kernel_path.h"
#include "tests/support/packet.h"
#include "tests/support/unit.h"

enum {
	BUFFERS = 1023,
	BURST = 32,
};

struct fixture {
	struct berth_ports ports;
	struct berth_kernel_path path;
	pthread_t main_lcore;
	bool stop;
	bool keeps_tap;
};

static struct rte_mempool *pool;

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void on_turn(void *arg)
{
	struct fixture *f = arg;
	if (__atomic_load_n(&f->keeps_tap, __ATOMIC_ACQUIRE))
		berth_kernel_path_keep_tap(&f->path, 0);
}

static void *run_path(void *arg)
{
	struct fixture *f = arg;
	berth_kernel_path_run(&f->path, &f->stop, on_turn, f);
	return NULL;
}

static void set_address(void)
{
	run("ip addr add 198.51.100.1/24 dev ext0"
	    " && ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:09 dev ext0");
}

static void start(struct fixture *f, uint16_t mtu)
{
	f->ports = (struct berth_ports){
		.n = 1,
		.port = {{.name = "ext0", .mtu = mtu, .mac = {2, 0, 0, 0, 0, 1}, .delivery = BERTH_DELIVERY_TAP}}};
	assert_int_equal(berth_kernel_path_open(&f->path, &f->ports, 1, pool, NULL), 0);
	assert_int_equal(pthread_create(&f->main_lcore, NULL, run_path, f), 0);
	set_address();
}

static int set_up(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	assert_non_null(*state);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	__atomic_store_n(&f->stop, true, __ATOMIC_RELEASE);
	pthread_join(f->main_lcore, NULL);
	berth_kernel_path_close(&f->path);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	free(f);
	return 0;
}

/* Sends an IPv4 packet of this many bytes; each byte behind its header tells its place. */
static void send_packet(uint32_t bytes)
{
	static uint8_t packet[65535];
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336402)};
	struct berth_ip4 ip = {.version_ihl = 0x45, .ttl = 64, .protocol = 253};
	ip.fragment = berth_to_be16(BERTH_IP4_DONT_FRAGMENT);
	ip.src = berth_to_be32(0xc6336401);
	ip.dst = berth_to_be32(0xc6336402);
	memcpy(packet, &ip, sizeof(ip));
	for (uint32_t i = sizeof(ip); i < bytes; i++)
		packet[i] = (uint8_t)(i ^ i >> 8);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, packet, bytes, 0, (const struct sockaddr *)&to, sizeof(to)), bytes);
	close(fd);
}

/* The network-layer bytes of the next packet in the ring that send_packet sent; 0: none within half a second. */
static uint32_t receive_packet(struct fixture *f)
{
	static uint8_t bytes[70000];
	for (int waited_ms = 0; waited_ms < 500; waited_ms++) {
		struct rte_mbuf *mbuf;
		if (rte_ring_sc_dequeue(f->path.from_kernel[0], (void **)&mbuf)) {
			usleep(1000);
			continue;
		}
		rte_mbuf_sanity_check(mbuf, 1);
		uint32_t length = rte_pktmbuf_pkt_len(mbuf);
		const uint8_t *at = rte_pktmbuf_read(mbuf, 0, length, bytes);
		assert_non_null(at);
		bool is_ours = at[12] == 8 && at[13] == 0 && at[14 + 9] == 253;
		for (uint32_t i = BERTH_IP4_BYTES; is_ours && i < length - 14; i++)
			assert_int_equal(at[14 + i], (uint8_t)(i ^ i >> 8));
		rte_pktmbuf_free(mbuf);
		if (is_ours)
			return length - 14;
	}
	return 0;
}

static void packets_of_every_size_up_to_the_mtu_are_whole(void **state)
{
	static const uint32_t sizes[] = {21, 1500, 2034, 2035, 4082, 4083, 9000};
	struct fixture *f = *state;
	start(f, 9000);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		send_packet(sizes[i]);
		assert_int_equal(receive_packet(f), sizes[i]);
	}
}

static void the_largest_mtu_fits(void **state)
{
	struct fixture *f = *state;
	start(f, 65521); /* the kernel's limit of a TAP device */
	send_packet(65521);
	assert_int_equal(receive_packet(f), 65521);
}

/* Somebody may raise the MTU of the TAP: the port's does not follow. */
static void a_packet_that_is_too_long_is_dropped_and_not_cut(void **state)
{
	struct fixture *f = *state;
	start(f, 1500);
	run("ip link set ext0 mtu 9000");
	send_packet(4000);
	send_packet(1500);
	assert_int_equal(receive_packet(f), 1500);
	assert_int_equal(__atomic_load_n(&f->path.too_long[0], __ATOMIC_ACQUIRE), 1);
}

static void packets_in_a_burst_are_whole_and_in_order(void **state)
{
	struct fixture *f = *state;
	start(f, 9000);
	for (uint32_t i = 0; i < BURST; i++)
		send_packet(8000 + i);
	for (uint32_t i = 0; i < BURST; i++)
		assert_int_equal(receive_packet(f), 8000 + i);
}

static void await(const char *condition)
{
	for (int i = 0; i < 3000; i++) {
		if (system(condition) == 0)
			return;
		usleep(10000);
	}
	fail_msg("never true: %s", condition);
}

static void await_tap(struct fixture *f)
{
	await("ip -d link show ext0 2>/dev/null | grep -q 'tun type tap' && ip link show ext0 | grep -q ',UP'");
	set_address();
	uint32_t received = 0;
	for (int i = 0; i < 60 && !received; i++) {
		send_packet(100);
		received = receive_packet(f);
	}
	assert_int_equal(received, 100);
}

static int open_tap_of_another_program(void)
{
	struct ifreq request = {.ifr_name = "ext0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void a_tap_that_cannot_be_made_again_is_tried_until_it_can(void **state)
{
	struct fixture *f = *state;
	start(f, 1500);
	run("ip link delete ext0");
	const int other = open_tap_of_another_program();
	__atomic_store_n(&f->keeps_tap, true, __ATOMIC_RELEASE);
	for (int i = 0; i < 3000 && __atomic_load_n(&f->path.tap[0], __ATOMIC_ACQUIRE) >= 0; i++)
		usleep(10000);
	assert_true(__atomic_load_n(&f->path.tap[0], __ATOMIC_ACQUIRE) < 0);
	close(other);
	await_tap(f);
}

static void a_tap_that_was_renamed_is_made_again(void **state)
{
	struct fixture *f = *state;
	start(f, 1500);
	run("ip link set ext0 down && ip link set ext0 name old0");
	__atomic_store_n(&f->keeps_tap, true, __ATOMIC_RELEASE);
	await_tap(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packets_of_every_size_up_to_the_mtu_are_whole),
		TEST(the_largest_mtu_fits),
		TEST(a_packet_that_is_too_long_is_dropped_and_not_cut),
		TEST(packets_in_a_burst_are_whole_and_in_order),
		TEST(a_tap_that_cannot_be_made_again_is_tried_until_it_can),
		TEST(a_tap_that_was_renamed_is_made_again),
	};
	char *eal[] = {"test",
		       "--no-huge",
		       "-m",
		       "16",
		       "--no-pci",
		       "--no-shconf",
		       "--no-telemetry",
		       "--lcores",
		       "0@0",
		       "--log-level=error",
		       "--iova-mode=va",
		       NULL};
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]) - 1, eal) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
