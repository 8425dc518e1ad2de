// SPDX-License-Identifier: BSD-3-Clause
/*
 * The administration socket: the real server on a real socket, its loop and its clients taking turns in one
 * thread, with a function that answers in place of the commands.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/server.h"

enum {
	PATIENCE_MS = 5000,
};

/* As berthd's, but quick to lose patience. */
static const struct berth_server_limits quick = {
	.request_bytes = 1 << 10,
	.unread_bytes = 1 << 20,
	.clients = 64,
	.half_ms = 200,
	.unread_ms = 300,
};

struct fixture {
	char dir[32];
	char path[64];
	struct event_base *base;
	struct berth_server *server;
	unsigned int answered;
	unsigned int before_five; /* how many were answered before one with n = 5 */
	int silent_after;	  /* a peer to close from within an answer; -1: none */
	struct berth_server_later *later;
	unsigned int gone; /* how many who waited for a later answer have gone */
};

struct peer {
	struct fixture *f;
	int fd;
	char *text; /* received */
	size_t length;
	bool ended;
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_gone(void *arg)
{
	struct fixture *f = arg;
	f->gone++;
	f->later = NULL;
}

static enum berth_code answer(void *arg, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES])
{
	struct fixture *f = arg;
	if (json_integer_value(json_object_get(arguments, "n")) == 5)
		f->before_five = f->answered;
	f->answered++;
	if (f->silent_after >= 0) {
		close(f->silent_after);
		f->silent_after = -1;
	}
	if (strcmp(command, "later") == 0) {
		f->later = berth_server_later(f->server, on_gone, f);
		assert_non_null(f->later);
	} else if (strcmp(command, "echo") == 0) {
		*result = json_deep_copy(arguments);
	} else if (strcmp(command, "big") == 0) {
		size_t length = (size_t)json_integer_value(json_object_get(arguments, "bytes"));
		char *text = malloc(length);
		assert_non_null(text);
		memset(text, 'x', length);
		*result = json_pack("{s:s%}", "text", text, length);
		free(text);
	} else if (strcmp(command, "nothing") != 0) {
		snprintf(error, BERTH_ERROR_BYTES, "%s", command);
		return BERTH_CODE_NOT_FOUND;
	}
	return BERTH_CODE_OK;
}

static void turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void turn_for(struct fixture *f, unsigned int ms)
{
	for (uint64_t end = now_ms() + ms; now_ms() < end; usleep(500))
		turn(f);
}

static int set_up_with(void **state, const struct berth_server_limits *limits)
{
	char error[BERTH_ERROR_BYTES];
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	strcpy(f->dir, "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/berth.sock", f->dir);
	f->silent_after = -1;
	f->base = event_base_new();
	f->server = berth_server_new(f->base, f->path, limits, answer, f, error);
	assert_non_null(f->server);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, &berth_server_limits);
}

static int set_up_quick(void **state)
{
	return set_up_with(state, &quick);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_server_free(f->server);
	event_base_free(f->base);
	/* Also says that the socket is gone. */
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static struct peer join(struct fixture *f)
{
	struct peer peer = {.f = f, .fd = connect_to(f->path)};
	assert_true(peer.fd >= 0);
	turn(f);
	return peer;
}

static void leave(struct peer *peer)
{
	close(peer->fd);
	free(peer->text);
	turn(peer->f);
	turn(peer->f);
}

/* How much of it the server took before it hung up. */
static size_t say_bytes(struct peer *peer, const char *text, size_t length)
{
	size_t said = 0;
	uint64_t end = now_ms() + PATIENCE_MS;
	while (said < length && now_ms() < end) {
		ssize_t n = send(peer->fd, text + said, length - said, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			break;
		said += n > 0 ? (size_t)n : 0;
		turn(peer->f);
	}
	return said;
}

static void say(struct peer *peer, const char *text)
{
	assert_int_equal(say_bytes(peer, text, strlen(text)), strlen(text));
}

/* Reads what is there. */
static void listen_once(struct peer *peer)
{
	char bytes[65536];
	ssize_t n = recv(peer->fd, bytes, sizeof(bytes), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		peer->ended = true;
	if (n <= 0)
		return;
	peer->text = realloc(peer->text, peer->length + (size_t)n);
	assert_non_null(peer->text);
	memcpy(peer->text + peer->length, bytes, (size_t)n);
	peer->length += (size_t)n;
}

/* The next answer; NULL: none came. */
static json_t *hear(struct peer *peer)
{
	for (uint64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
		char *newline = peer->text ? memchr(peer->text, '\n', peer->length) : NULL;
		if (newline) {
			size_t length = (size_t)(newline - peer->text);
			json_t *heard = json_loadb(peer->text, length, JSON_REJECT_DUPLICATES, NULL);
			assert_non_null(heard);
			peer->length -= length + 1;
			memmove(peer->text, newline + 1, peer->length);
			return heard;
		}
		if (peer->ended)
			return NULL;
		turn(peer->f);
		listen_once(peer);
		usleep(100);
	}
	return NULL;
}

/* The server has hung up, and said no more. */
static void hear_end(struct peer *peer)
{
	assert_null(hear(peer));
	assert_true(peer->ended);
	assert_int_equal(peer->length, 0);
}

static void hear_number(struct peer *peer, json_int_t number)
{
	json_t *heard = hear(peer);
	assert_non_null(heard);
	assert_true(json_is_true(json_object_get(heard, "ok")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(heard, "result"), "n")), number);
	json_decref(heard);
}

static void hear_error(struct peer *peer, const char *code)
{
	json_t *heard = hear(peer);
	assert_non_null(heard);
	assert_true(json_is_false(json_object_get(heard, "ok")));
	assert_string_equal(json_string_value(json_object_get(heard, "code")), code);
	assert_true(json_string_length(json_object_get(heard, "error")) > 0);
	assert_null(json_object_get(heard, "result"));
	json_decref(heard);
}

/* Somebody else is still served. */
static void others_are_served(struct fixture *f)
{
	struct peer other = join(f);
	say(&other, "{\"command\":\"echo\",\"arguments\":{\"n\":7}}\n");
	hear_number(&other, 7);
	leave(&other);
}

static void a_request_is_answered(void **state)
{
	struct peer peer = join(*state);
	say(&peer, "{\"command\": \"echo\", \"arguments\": {\"n\": 1}}\r\n");
	hear_number(&peer, 1);
	say(&peer, "{\"command\": \"echo\"}\n");
	hear_number(&peer, 0);
	leave(&peer);
}

static void several_requests_in_one_write_are_answered_in_order(void **state)
{
	struct peer peer = join(*state);
	char text[8000] = "";
	for (int i = 0; i < 100; i++)
		snprintf(text + strlen(text), 60, "{\"command\":\"echo\",\"arguments\":{\"n\":%d}}\n", i);
	say(&peer, text);
	for (int i = 0; i < 100; i++)
		hear_number(&peer, i);
	leave(&peer);
}

static void many_requests_do_not_keep_the_loop_from_others(void **state)
{
	struct fixture *f = *state;
	struct peer many = join(f);
	struct peer one = join(f);
	char text[60000];
	size_t length = 0;
	while (length + 30 < sizeof(text))
		length += (size_t)snprintf(text + length, 30, "{\"command\":\"echo\"}\n");
	assert_int_equal(send(many.fd, text, length, 0), length);
	assert_true(send(one.fd, "{\"command\":\"echo\",\"arguments\":{\"n\":5}}\n", 39, 0) > 0);
	hear_number(&one, 5);
	assert_true(f->answered > 3000);
	assert_in_range(f->before_five, 0, 100);
	leave(&many);
	leave(&one);
}

static void a_request_may_come_byte_by_byte(void **state)
{
	struct peer peer = join(*state);
	const char *text = "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n{\"command\":\"echo\"}\n";
	for (const char *at = text; *at; at++)
		assert_int_equal(say_bytes(&peer, at, 1), 1);
	hear_number(&peer, 3);
	hear_number(&peer, 0);
	leave(&peer);
}

static void a_wrong_request_is_an_error_and_the_connection_stays(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"{\"command\":1}",
		"{\"command\":\"echo\",\"arguments\":[]}",
		"{\"command\":\"echo\",\"arguments\":null}",
		"{\"command\":\"echo\",\"extra\":1}",
	};
	struct fixture *f = *state;
	struct peer peer = join(f);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		say(&peer, wrong[i]);
		say(&peer, "\n");
		hear_error(&peer, "invalid");
	}
	assert_int_equal(f->answered, 0);
	say(&peer, "{\"command\":\"no such\"}\n");
	hear_error(&peer, "not_found");
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":4}}\n");
	hear_number(&peer, 4);
	leave(&peer);
}

static void what_is_no_json_object_ends_the_connection(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} garbage[] = {
#define BYTES(text) {text, sizeof(text) - 1}
		BYTES("GET / HTTP/1.1\r\n\r\n"),
		BYTES("g"),
		BYTES("\n"),
		BYTES("\0\0\0\0"),
		BYTES("[1]\n"),
		BYTES("\"text\"\n"),
		BYTES("\xff\xfe\n"),
		BYTES("{\n}\n"),
		BYTES("{\"command\":\"echo\"} {}\n"),
		BYTES("{\"command\":\"echo\",\"command\":\"echo\"}\n"),
		BYTES("{\"command\":\"\xc3\x28\"}\n"),
		BYTES("{\"command\":\"a\0b\"}\n"),
		BYTES("{\"command\":\"a\\u0000b\"}\n"),
		BYTES("{\"command\":\"\\ud800\"}\n"),
		BYTES("{\"command\":\"echo\",\"arguments\":{\"n\":1e999}}\n"),
		BYTES("{\"command\":\"echo\"\\}\n"),
#undef BYTES
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		struct peer peer = join(f);
		say_bytes(&peer, garbage[i].text, garbage[i].length);
		hear_error(&peer, "invalid");
		hear_end(&peer);
		leave(&peer);
	}
	assert_int_equal(f->answered, 0);
	others_are_served(f);
}

static void a_megabyte_of_garbage_ends_that_connection_only(void **state)
{
	struct fixture *f = *state;
	size_t length = 1 << 20;
	char *garbage = malloc(length);
	assert_non_null(garbage);
	uint32_t x = 1;
	for (size_t i = 0; i < length; i++)
		garbage[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	garbage[0] = 'g';
	struct peer before = join(f);
	struct peer peer = join(f);
	assert_true(say_bytes(&peer, garbage, length) < length);
	hear_error(&peer, "invalid");
	hear_end(&peer);
	say(&before, "{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	hear_number(&before, 2);
	leave(&peer);
	leave(&before);
	free(garbage);
}

/* `head`, `text` over and over, `tail`: `length` bytes, or up to one `text` less, and a newline. */
static char *repeat(const char *head, const char *text, const char *tail, size_t *length)
{
	size_t unit = strlen(text);
	size_t times = (*length - strlen(head) - strlen(tail)) / unit;
	char *line = malloc(*length + 2);
	assert_non_null(line);
	char *at = stpcpy(line, head);
	while (times-- > 0)
		at = (char *)memcpy(at, text, unit) + unit;
	at = stpcpy(stpcpy(at, tail), "\n");
	*length = (size_t)(at - line) - 1;
	return line;
}

static void json_bombs_are_not_even_parsed(void **state)
{
	static const struct {
		const char *part;
		const char *tail;
	} bombs[] = {
		{"{},", "{}]}}"}, /* valid, and a hundred times its size in memory */
		{"[],", "[]]}}"}, {"1,", "1]}}"}, {"[", ""}, {"{\"a\":", ""},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		size_t length = 1 << 20;
		char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":[", bombs[i].part, bombs[i].tail,
				    &length);
		struct peer peer = join(f);
		say_bytes(&peer, line, length + 1);
		hear_error(&peer, "invalid");
		hear_end(&peer);
		leave(&peer);
		free(line);
	}
	others_are_served(f);
}

static void brackets_within_text_are_no_parts(void **state)
{
	struct peer peer = join(*state);
	char line[2000] = "{\"command\":\"echo\",\"arguments\":{\"n\":6,\"text\":\"\\\"";
	for (int i = 0; i < 100; i++)
		strcat(line, "{[,:\\\\]}\\\"");
	strcat(line, "\"}}\n");
	say(&peer, line);
	hear_number(&peer, 6);
	leave(&peer);
}

/* A request of `length` bytes without its newline. */
static char *long_request(size_t length)
{
	char *line = repeat("{\"command\":\"echo\",\"arguments\":{\"n\":8,\"text\":\"", "x", "\"}}", &length);
	return line;
}

static void a_request_of_8_mib_is_answered(void **state)
{
	struct peer peer = join(*state);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES);
	assert_int_equal(say_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 1), BERTH_WIRE_REQUEST_BYTES + 1);
	hear_number(&peer, 8);
	leave(&peer);
	free(line);
}

static void a_request_of_8_mib_and_a_byte_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	char *line = long_request(BERTH_WIRE_REQUEST_BYTES + 1);
	say_bytes(&peer, line, BERTH_WIRE_REQUEST_BYTES + 2);
	hear_error(&peer, "too_large");
	hear_end(&peer);
	assert_int_equal(f->answered, 0);
	leave(&peer);
	free(line);
	others_are_served(f);
}

static void half_a_request_ends_the_connection_in_time(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	uint64_t began = now_ms();
	say(&peer, "{\"command\":\"echo\"}\n{\"comm");
	hear_number(&peer, 0);
	/* A byte now and then does not buy more time. */
	while (!peer.ended && now_ms() - began < PATIENCE_MS) {
		turn_for(f, quick.half_ms / 10);
		(void)!send(peer.fd, "a", 1, MSG_NOSIGNAL);
		listen_once(&peer);
	}
	assert_in_range(now_ms() - began, quick.half_ms - 20, PATIENCE_MS - 1);
	hear_error(&peer, "timeout");
	hear_end(&peer);
	leave(&peer);
}

static void an_idle_connection_stays(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	turn_for(f, quick.half_ms * 2);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":9}}\n");
	hear_number(&peer, 9);
	turn_for(f, quick.unread_ms * 2);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":10}}\n");
	hear_number(&peer, 10);
	leave(&peer);
}

static void a_client_that_has_said_all_still_reads_its_answers(void **state)
{
	struct peer peer = join(*state);
	say(&peer,
	    "{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	shutdown(peer.fd, SHUT_WR);
	hear_number(&peer, 1);
	hear_number(&peer, 2);
	hear_end(&peer);
	leave(&peer);

	struct peer cut = join(*state);
	assert_true(send(cut.fd, "{\"command\":\"echo\"}", 18, 0) == 18);
	shutdown(cut.fd, SHUT_WR);
	hear_error(&cut, "invalid");
	hear_end(&cut);
	leave(&cut);
}

static void a_client_too_many_is_told_so(void **state)
{
	struct fixture *f = *state;
	struct peer peers[64];
	for (size_t i = 0; i < 64; i++)
		peers[i] = join(f);
	turn_for(f, 5);
	struct peer more = join(f);
	hear_error(&more, "busy");
	hear_end(&more);
	leave(&more);
	for (size_t i = 0; i < 64; i++) {
		say(&peers[i], "{\"command\":\"echo\",\"arguments\":{\"n\":1}}\n");
		hear_number(&peers[i], 1);
	}
	leave(&peers[63]);
	others_are_served(f);
	for (size_t i = 0; i < 63; i++)
		leave(&peers[i]);
}

static void requests_wait_while_answers_are_unread(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	for (int i = 0; i < 20; i++)
		say(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":700000}}\n");
	turn_for(f, 50);
	/* Two fill 1 MiB, and some more is in the kernel. */
	assert_in_range(f->answered, 2, 4);
	for (int i = 0; i < 20; i++) {
		json_t *heard = hear(&peer);
		json_t *text = json_object_get(json_object_get(heard, "result"), "text");
		assert_int_equal(json_string_length(text), 700000);
		json_decref(heard);
	}
	assert_int_equal(f->answered, 20);
	leave(&peer);
}

static void a_client_that_reads_nothing_is_let_go_in_time(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"big\",\"arguments\":{\"bytes\":5000000}}\n");
	turn_for(f, quick.unread_ms / 2);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), 1);
	turn_for(f, quick.unread_ms);
	assert_int_equal(send(peer.fd, "{", 1, MSG_NOSIGNAL), -1);
	leave(&peer);
	others_are_served(f);
}

static void a_client_that_goes_before_its_answer_harms_nobody(void **state)
{
	static const char big[] = "{\"command\":\"big\",\"arguments\":{\"bytes\":5000000}}\n";
	struct fixture *f = *state;
	struct peer peer = join(f);
	f->silent_after = peer.fd;
	assert_true(send(peer.fd, big, strlen(big), 0) > 0);
	turn_for(f, 20);
	assert_int_equal(f->answered, 1);

	struct peer middle = join(f);
	say(&middle, big);
	listen_once(&middle);
	assert_true(middle.length > 0);
	leave(&middle);
	turn_for(f, 20);
	others_are_served(f);
}

static void an_error_is_always_one_sendable_line(void **state)
{
	struct peer peer = join(*state);
	char line[2000] = "{\"command\":\"";
	/* The stand-in quotes the command, cut after 511 bytes: in the middle of a character. */
	for (int i = 0; i < 400; i++)
		strcat(line, "\xc3\xa4");
	strcat(line, "\"}\n{\"command\":\"two\\nlines\"}\n");
	say(&peer, line);
	hear_error(&peer, "not_found");
	json_t *heard = hear(&peer);
	assert_string_equal(json_string_value(json_object_get(heard, "error")), "two?lines");
	json_decref(heard);
	say(&peer, "{\"command\":\"nothing\"}\n");
	hear_error(&peer, "internal");
	leave(&peer);
}

static void an_answer_is_sent_though_the_loop_has_ended(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = join(f);
	turn_for(f, 5);
	assert_true(send(peer.fd, "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n", 39, 0) == 39);
	while (!f->answered)
		event_base_loop(f->base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	berth_server_free(f->server);
	f->server = NULL;
	hear_number(&peer, 3);
	hear_end(&peer);
	leave(&peer);
	assert_int_equal(access(f->path, F_OK), -1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_non_null(f->server);
}

static void the_socket_is_for_owner_and_group(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char error[BERTH_ERROR_BYTES];
	static const mode_t masks[] = {0, 022, 077, 0777};
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		berth_server_free(f->server);
		mode_t before = umask(masks[i]);
		f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
		umask(before);
		assert_non_null(f->server);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	}
	others_are_served(f);
}

static void a_dead_berthds_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	berth_server_free(f->server);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(access(f->path, F_OK), 0);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_non_null(f->server);
	others_are_served(f);
}

static void a_living_berthds_socket_is_refused(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	assert_null(berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error));
	assert_int_equal(errno, EADDRINUSE);
	assert_non_null(strstr(error, f->path));
	others_are_served(f);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	berth_server_free(f->server);
	FILE *file = fopen(f->path, "w");
	assert_non_null(file);
	fclose(file);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	assert_null(f->server);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(f->path), 0);
}

static void a_path_that_cannot_be_is_refused(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	char path[200];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_null(berth_server_new(f->base, path, &berth_server_limits, answer, f, error));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_null(berth_server_new(f->base, "/nonexistent/berth.sock", &berth_server_limits, answer, f, error));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(error, "/nonexistent/berth.sock"));
}

static void answer_now(struct fixture *f, json_int_t n)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_server_later *later = f->later;
	assert_non_null(later);
	f->later = NULL;
	berth_server_answer(later, BERTH_CODE_OK, json_pack("{s:I}", "n", n), error);
}

static void an_answer_may_come_later_and_others_are_served_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	others_are_served(f);
	listen_once(&peer);
	assert_int_equal(peer.length, 0);
	answer_now(f, 3);
	hear_number(&peer, 3);
	assert_int_equal(f->gone, 0);
	leave(&peer);
	assert_int_equal(f->gone, 0);
}

static void requests_behind_a_late_answer_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n{\"command\":\"echo\",\"arguments\":{\"n\":2}}\n");
	turn_for(f, 20);
	say(&peer, "{\"command\":\"echo\",\"arguments\":{\"n\":3}}\n");
	turn_for(f, 20);
	assert_int_equal(f->answered, 1);
	answer_now(f, 1);
	hear_number(&peer, 1);
	hear_number(&peer, 2);
	hear_number(&peer, 3);
	leave(&peer);
}

static void a_late_answer_reaches_one_who_sends_no_more(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	shutdown(peer.fd, SHUT_WR);
	turn_for(f, 20);
	answer_now(f, 4);
	hear_number(&peer, 4);
	hear_end(&peer);
	leave(&peer);
}

static void one_who_hangs_up_before_a_late_answer_harms_nobody(void **state)
{
	struct fixture *f = *state;
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	leave(&peer);
	turn_for(f, 20);
	if (f->later)
		answer_now(f, 5);
	turn_for(f, 20);
	others_are_served(f);
}

static void who_would_answer_later_is_told_that_the_server_goes(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	struct peer peer = join(f);
	say(&peer, "{\"command\":\"later\"}\n");
	turn(f);
	berth_server_free(f->server);
	assert_int_equal(f->gone, 1);
	f->server = berth_server_new(f->base, f->path, &berth_server_limits, answer, f, error);
	close(peer.fd);
	free(peer.text);
}

static void nothing_is_answered_later_that_was_not_asked(void **state)
{
	struct fixture *f = *state;
	assert_null(berth_server_later(f->server, on_gone, f));
	others_are_served(f);
	assert_null(berth_server_later(f->server, on_gone, f));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define QUICK(name) cmocka_unit_test_setup_teardown(name, set_up_quick, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered),
		TEST(several_requests_in_one_write_are_answered_in_order),
		TEST(many_requests_do_not_keep_the_loop_from_others),
		TEST(a_request_may_come_byte_by_byte),
		TEST(a_wrong_request_is_an_error_and_the_connection_stays),
		TEST(what_is_no_json_object_ends_the_connection),
		TEST(a_megabyte_of_garbage_ends_that_connection_only),
		TEST(json_bombs_are_not_even_parsed),
		TEST(brackets_within_text_are_no_parts),
		TEST(a_request_of_8_mib_is_answered),
		TEST(a_request_of_8_mib_and_a_byte_ends_the_connection),
		QUICK(half_a_request_ends_the_connection_in_time),
		QUICK(an_idle_connection_stays),
		TEST(a_client_that_has_said_all_still_reads_its_answers),
		TEST(a_client_too_many_is_told_so),
		TEST(requests_wait_while_answers_are_unread),
		QUICK(a_client_that_reads_nothing_is_let_go_in_time),
		TEST(a_client_that_goes_before_its_answer_harms_nobody),
		TEST(an_error_is_always_one_sendable_line),
		TEST(an_answer_is_sent_though_the_loop_has_ended),
		TEST(the_socket_is_for_owner_and_group),
		TEST(a_dead_berthds_socket_is_replaced),
		TEST(a_living_berthds_socket_is_refused),
		TEST(what_is_no_socket_is_left_alone),
		TEST(a_path_that_cannot_be_is_refused),
		TEST(an_answer_may_come_later_and_others_are_served_meanwhile),
		TEST(requests_behind_a_late_answer_wait_for_it),
		TEST(a_late_answer_reaches_one_who_sends_no_more),
		TEST(one_who_hangs_up_before_a_late_answer_harms_nobody),
		TEST(who_would_answer_later_is_told_that_the_server_goes),
		TEST(nothing_is_answered_later_that_was_not_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
