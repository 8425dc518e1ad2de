// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper/stream.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"

enum {
	MANY = 1000,
	LONGEST = 300,
};

/* Of which each has another length, and its id as its bytes. */
struct message {
	struct berth_helper_header header;
	uint8_t bytes[LONGEST];
};

struct stream_lab {
	struct event_base *base;
	struct berth_stream *sender, *receiver;
	int receiving_fd;
	uint64_t received;
	uint64_t with_fds;
	uint64_t freed_by; /* the receiver is freed by this message; 0: by none */
};

static size_t bytes_of(uint64_t id)
{
	return sizeof(struct berth_helper_header) + id % LONGEST;
}

/* Each tenth message has a descriptor. */
static bool on_received(void *arg, const struct berth_helper_header *header, const int *fds, size_t n_fds)
{
	struct stream_lab *lab = arg;
	const struct message *message = (const struct message *)header;
	assert_int_equal((uintptr_t)header % 8, 0);
	assert_int_equal(header->id, ++lab->received);
	assert_int_equal(header->bytes, bytes_of(header->id));
	for (size_t i = 0; i < header->id % LONGEST; i++)
		assert_int_equal(message->bytes[i], (uint8_t)header->id);
	lab->with_fds += n_fds;
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	if (lab->freed_by == header->id) {
		berth_stream_free(lab->receiver);
		lab->receiver = NULL;
	}
	return true;
}

static void on_ended(void *arg, const char *fault)
{
	const struct stream_lab *lab = arg;
	if (lab->receiver)
		fail_msg("ended: %s", fault ? fault : "no fault");
}

static int setup(void **state)
{
	static struct stream_lab lab;
	const struct berth_stream_listener listener = {.received = on_received, .ended = on_ended, .arg = &lab};
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		return -1;
	lab = (struct stream_lab){.base = event_base_new(), .receiving_fd = fds[1]};
	lab.sender = berth_stream_new(lab.base, fds[0], false, &listener);
	lab.receiver = berth_stream_new(lab.base, fds[1], true, &listener);
	*state = &lab;
	return 0;
}

static int teardown(void **state)
{
	struct stream_lab *lab = *state;
	berth_stream_free(lab->sender);
	berth_stream_free(lab->receiver);
	event_base_free(lab->base);
	return 0;
}

static void send_many(struct stream_lab *lab, bool has_fds)
{
	struct message message;
	for (uint64_t id = 1; id <= MANY; id++) {
		const int fd = has_fds && id % 10 == 0 ? dup(lab->receiving_fd) : -1;
		message.header = (struct berth_helper_header){.id = id};
		memset(message.bytes, (int)id, sizeof(message.bytes));
		assert_int_equal(berth_stream_send(lab->sender, &message.header, bytes_of(id), &fd, fd >= 0), 0);
	}
}

static void messages_arrive_whole_in_order_and_with_their_descriptors(void **state)
{
	struct stream_lab *lab = *state;
	send_many(lab, true);
	while (lab->received < MANY)
		event_base_loop(lab->base, EVLOOP_ONCE);
	assert_int_equal(lab->with_fds, MANY / 10);
}

/* 170 bytes each on average. */
static void forty_messages_need_one_packet(void **state)
{
	static uint8_t packet[BERTH_HELPER_MESSAGE_BYTES];
	struct stream_lab *lab = *state;
	const int fd = dup(lab->receiving_fd);
	berth_stream_free(lab->receiver);
	lab->receiver = NULL;
	send_many(lab, false);
	int packets = 0;
	event_base_loop(lab->base, EVLOOP_NONBLOCK);
	for (; recv(fd, packet, sizeof(packet), MSG_DONTWAIT) > 0; packets++)
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	assert_in_range(packets, 2, MANY / 40);
	close(fd);
}

static void nothing_is_received_after_a_message_that_frees_the_stream(void **state)
{
	struct stream_lab *lab = *state;
	lab->freed_by = 5;
	send_many(lab, false);
	while (lab->receiver)
		event_base_loop(lab->base, EVLOOP_ONCE);
	event_base_loop(lab->base, EVLOOP_NONBLOCK);
	assert_int_equal(lab->received, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_arrive_whole_in_order_and_with_their_descriptors, setup,
						teardown),
		cmocka_unit_test_setup_teardown(forty_messages_need_one_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_received_after_a_message_that_frees_the_stream, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
