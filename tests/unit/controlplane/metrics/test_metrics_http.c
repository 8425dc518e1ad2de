// SPDX-License-Identifier: BSD-3-Clause
/* GET /metrics: the real listener on loopback; its loop and its clients run alternately in one thread. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/metrics/http.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"

#include "tests/support/loop.h"
#include "tests/support/unit.h"

enum {
	PATIENCE_MS = 5000,
	BIG = 4 << 20,
};

/* Limits with a short lifetime. */
static const struct berth_metrics_http_limits quick = {
	.request_bytes = 1024, .clients = 3, .lifetime_ms = 400, .half_ms = 200};

struct http_fixture {
	struct event_base *base;
	struct berth_metrics_http *http;
	struct berth_metrics_config where;
	size_t body; /* bytes of a response; 0: out of memory */
	unsigned int scrapes;
	unsigned int turns; /* that a body takes, beside the last one */
	unsigned int under_way;
};

struct http_peer {
	struct http_fixture *f;
	int fd;
	char *text;
	size_t length;
	bool ended;
};

static int write_body(void *arg, void **job, struct berth_text *text)
{
	struct http_fixture *f = arg;
	f->under_way -= *job != NULL;
	if (!text || !f->turns) {
		*job = NULL;
		f->scrapes += text != NULL;
	} else {
		f->turns--;
		f->under_way++;
		*job = f;
		return -EAGAIN;
	}
	if (!text)
		return 0;
	if (f->body == 0)
		return -ENOMEM;
	text->bytes = malloc(f->body);
	assert_non_null(text->bytes);
	memset(text->bytes, 'm', f->body);
	text->length = text->capacity = f->body;
	return 0;
}

static struct berth_metrics_config at(const char *address, uint16_t port)
{
	struct berth_metrics_config where = {.port = port};
	assert_int_equal(berth_address_parse(address, &where.address), 0);
	return where;
}

/* A free port at this address; `*fd` holds it. */
static uint16_t take_port(const char *address, int *fd)
{
	struct sockaddr_storage any;
	union berth_addr parsed;
	assert_int_equal(berth_address_parse(address, &parsed), 0);
	socklen_t length = berth_address_to_socket(&parsed, 0, &any);
	*fd = socket(any.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&any, length), 0);
	assert_int_equal(listen(*fd, 1), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&any, &length), 0);
	return ntohs(((struct sockaddr_in *)&any)->sin_port);
}

static uint16_t free_port(const char *address)
{
	int fd;
	uint16_t port = take_port(address, &fd);
	close(fd);
	return port;
}

static void listens(struct http_fixture *f, struct berth_metrics_config where)
{
	char error[BERTH_ERROR_BYTES] = "";
	if (berth_metrics_http_listen(f->http, &where, error))
		fail_msg("%s", error);
	f->where = where;
}

static int set_up_with(void **state, const struct berth_metrics_http_limits *limits)
{
	struct http_fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	signal(SIGPIPE, SIG_IGN);
	f->body = 100;
	f->base = event_base_new();
	f->http = berth_metrics_http_new(f->base, limits, write_body, f);
	assert_non_null(f->http);
	listens(f, at("127.0.0.1", free_port("127.0.0.1")));
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, &berth_metrics_http_limits);
}

static int set_up_patient(void **state)
{
	struct berth_metrics_http_limits limits = berth_metrics_http_limits;
	limits.lifetime_ms = 60000;
	return set_up_with(state, &limits);
}

static int set_up_quick(void **state)
{
	return set_up_with(state, &quick);
}

static int tear_down(void **state)
{
	struct http_fixture *f = *state;
	berth_metrics_http_free(f->http);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void turn(struct http_fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* -1: connection refused. */
static int connect_to(const struct berth_metrics_config *where)
{
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&where->address, where->port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&to, length) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static struct http_peer join(struct http_fixture *f)
{
	struct http_peer peer = {.f = f, .fd = connect_to(&f->where)};
	assert_true(peer.fd >= 0);
	turn(f);
	return peer;
}

static void say(struct http_peer *peer, const char *text)
{
	assert_int_equal(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(peer->f);
}

static void leave(struct http_peer *peer)
{
	close(peer->fd);
	free(peer->text);
	turn(peer->f);
	turn(peer->f);
}

/* Reads available bytes. */
static void listen_once(struct http_peer *peer)
{
	char piece[65536];
	ssize_t n;
	while ((n = recv(peer->fd, piece, sizeof(piece), 0)) > 0) {
		peer->text = realloc(peer->text, peer->length + (size_t)n + 1);
		memcpy(peer->text + peer->length, piece, (size_t)n);
		peer->length += (size_t)n;
		peer->text[peer->length] = '\0';
	}
	peer->ended |= n == 0 || (n < 0 && errno != EAGAIN);
}

static void listen_to_end(struct http_peer *peer)
{
	assert_true(wait_until((listen_once(peer), peer->ended), PATIENCE_MS, loop_for(peer->f->base, 1)));
}

static void expect_status(const struct http_peer *peer, const char *status)
{
	if (!peer->text)
		fail_msg("no answer");
	if (strncmp(peer->text, "HTTP/1.1 ", 9) != 0 || strncmp(peer->text + 9, status, strlen(status)) != 0)
		fail_msg("not \"%s\": %.60s", status, peer->text);
}

/* Content-Length equals the length of the body. */
static size_t body_of(const struct http_peer *peer)
{
	size_t said;
	const char *body = strstr(peer->text, "\r\n\r\n");
	assert_non_null(body);
	assert_int_equal(sscanf(strstr(peer->text, "Content-Length: "), "Content-Length: %zu", &said), 1);
	assert_int_equal(peer->text + peer->length - (body + 4), said);
	return said;
}

/* The response to one request, up to the end of the connection. */
static void ask(struct http_fixture *f, const char *request, const char *status)
{
	struct http_peer peer = join(f);
	say(&peer, request);
	listen_to_end(&peer);
	expect_status(&peer, status);
	assert_non_null(strstr(peer.text, "Connection: close\r\n"));
	assert_int_equal(strncmp(status, "405", 3) == 0, strstr(peer.text, "Allow: GET\r\n") != NULL);
	assert_int_equal(body_of(&peer), strcmp(status, "200 OK") == 0 ? f->body : 0);
	leave(&peer);
}

#define GET "GET /metrics HTTP/1.1\r\nHost: berth\r\n\r\n"

static bool write_ready(void *arg, struct berth_text *text)
{
	const struct http_fixture *f = arg;
	berth_text_line(text, f->body ? "ready" : "drained");
	return f->body != 0;
}

static void expect_ready(struct http_fixture *f, const char *status, const char *body)
{
	struct http_peer peer = join(f);
	say(&peer, "GET /ready HTTP/1.1\r\nHost: berth\r\n\r\n");
	listen_to_end(&peer);
	expect_status(&peer, status);
	assert_int_equal(body_of(&peer), strlen(body));
	assert_string_equal(peer.text + peer.length - strlen(body), body);
	leave(&peer);
}

static void ready_answers_200_or_503_with_the_reasons(void **state)
{
	struct http_fixture *f = *state;
	berth_metrics_http_set_ready(f->http, write_ready);
	expect_ready(f, "200 OK\r\n", "ready\n");
	f->body = 0;
	expect_ready(f, "503 Service Unavailable\r\n", "drained\n");
	assert_int_equal(f->scrapes, 0);
}

static void a_scrape_returns_the_text_and_its_type(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer peer = join(f);
	say(&peer, GET);
	listen_to_end(&peer);
	expect_status(&peer, "200 OK\r\n");
	assert_non_null(strstr(peer.text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_int_equal(body_of(&peer), 100);
	leave(&peer);
	f->body = BIG;
	ask(f, GET, "200 OK");
	ask(f, "GET /metrics?name=x HTTP/1.0\r\n\r\n", "200 OK");
}

/* Without a turn of the loop: one does not end while bodies are written. */
static struct http_peer ask_only(struct http_fixture *f, const char *request)
{
	struct http_peer peer = {.f = f, .fd = connect_to(&f->where)};
	assert_true(peer.fd >= 0);
	assert_int_equal(send(peer.fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return peer;
}

static void turn_once(struct http_fixture *f)
{
	event_base_loop(f->base, EVLOOP_ONCE);
}

static void a_text_may_take_many_turns(void **state)
{
	struct http_fixture *f = *state;
	const struct linger reset = {.l_onoff = 1};
	f->turns = UINT32_MAX;
	struct http_peer slow = ask_only(f, GET), gone = ask_only(f, GET);
	assert_true(wait_until(f->under_way == 2, PATIENCE_MS, turn_once(f)));
	shutdown(slow.fd, SHUT_WR);
	/* Meanwhile others are answered. */
	struct http_peer other = ask_only(f, "GET /ready HTTP/1.1\r\n\r\n");
	assert_true(wait_until((listen_once(&other), other.ended), PATIENCE_MS, turn_once(f)));
	expect_status(&other, "503 Service Unavailable");
	setsockopt(gone.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(gone.fd);
	assert_true(wait_until(f->under_way == 1, PATIENCE_MS, turn_once(f)));
	f->turns = 0;
	listen_to_end(&slow);
	expect_status(&slow, "200 OK");
	assert_int_equal(body_of(&slow), 100);
	assert_int_equal(f->scrapes, 1);
	assert_int_equal(f->under_way, 0);
	leave(&slow);
	leave(&other);
}

static void other_requests_get_the_right_error_status(void **state)
{
	static const struct {
		const char *request;
		const char *status;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", "404 Not Found"},
		{"GET /metric HTTP/1.1\r\n\r\n", "404"},
		{"GET /metrics/ HTTP/1.1\r\n\r\n", "404"},
		{"GET /metrics%20 HTTP/1.1\r\n\r\n", "404"},
		{"POST / HTTP/1.1\r\n\r\n", "405"},
		{"POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "405 Method Not Allowed"},
		{"HEAD /metrics HTTP/1.1\r\n\r\n", "405"},
		{"GE /metrics HTTP/1.1\r\n\r\n", "405"},
		{"get /metrics HTTP/1.1\r\n\r\n", "405"},
		{"GET /metrics\r\n\r\n", "400 Bad Request"},
		{"GET /metrics HTTP/2.0\r\n\r\n", "400"},
		{"GET  HTTP/1.1\r\n\r\n", "404"},
		{"GET\r\n\r\n", "400"},
		{" \r\n\r\n", "400"},
		{"\r\n\r\n", "400"},
		{"\x16\x03\x01\r\n\r\n", "400"},
	};
	struct http_fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ask(f, cases[i].request, cases[i].status);
	assert_int_equal(f->scrapes, 0);
	f->body = 0;
	ask(f, GET, "503");
}

static const char *write_other(void *arg, const char *target, struct berth_text *text)
{
	(void)arg;
	if (strcmp(target, "/a?b=c") != 0)
		return NULL;
	text->bytes = calloc(1, 100); /* as long as a scrape, which `ask` expects */
	assert_non_null(text->bytes);
	text->length = text->capacity = 100;
	return "text/x";
}

static void other_pages_exist_while_the_configuration_says_so(void **state)
{
	struct http_fixture *f = *state;
	berth_metrics_http_set_page(f->http, write_other);
	ask(f, "GET /a?b=c HTTP/1.1\r\n\r\n", "404");
	f->where.page = true;
	listens(f, f->where);
	ask(f, "GET /a?b=c HTTP/1.1\r\n\r\n", "200 OK");
	ask(f, "GET /a HTTP/1.1\r\n\r\n", "404");
	f->where.page = false;
	listens(f, f->where);
	ask(f, "GET /a?b=c HTTP/1.1\r\n\r\n", "404");
}

static void the_size_of_a_request_is_limited(void **state)
{
	struct http_fixture *f = *state;
	char head[2048];
	memset(head, 'x', sizeof(head));
	memcpy(head, "GET /metrics HTTP/1.1\r\nX: ", 26);
	head[1024] = '\0';
	memcpy(head + 1020, "\r\n\r\n", 4);
	ask(f, head, "200 OK");
	memset(head + 1020, 'x', 1000);
	head[1100] = '\0';
	ask(f, head, "431");
}

static void a_request_may_arrive_in_pieces(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer peer = join(f);
	for (const char *byte = GET; *byte; byte++) {
		assert_int_equal(f->scrapes, 0);
		say(&peer, (const char[]){*byte, '\0'});
	}
	listen_to_end(&peer);
	expect_status(&peer, "200 OK");
	leave(&peer);
}

/* A client that sends more than is read gets the response, not a reset. */
static void a_connection_gets_one_response(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer peer = join(f);
	say(&peer, GET GET GET);
	char more[65536];
	memset(more, 'x', sizeof(more));
	size_t said = 0;
	for (uint64_t end = berth_clock_ms() + PATIENCE_MS; said < 4 * BIG && berth_clock_ms() < end; turn(f)) {
		ssize_t n = send(peer.fd, more, sizeof(more), MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
	}
	assert_true(said >= 4 * BIG);
	listen_to_end(&peer);
	expect_status(&peer, "200 OK");
	assert_int_equal(body_of(&peer), 100);
	assert_int_equal(f->scrapes, 1);
	leave(&peer);
}

static void a_half_closed_client_gets_the_response(void **state)
{
	struct http_fixture *f = *state;
	f->body = BIG;
	struct http_peer peer = join(f);
	say(&peer, GET);
	shutdown(peer.fd, SHUT_WR);
	listen_to_end(&peer);
	expect_status(&peer, "200 OK");
	assert_int_equal(body_of(&peer), BIG);
	leave(&peer);
}

/* True if the server closes within the limit. */
static bool is_ended(struct http_peer *peer)
{
	loop_for(peer->f->base, quick.lifetime_ms + 200);
	char byte;
	ssize_t n = recv(peer->fd, &byte, 1, MSG_PEEK);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void no_connection_exceeds_its_lifetime(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer silent = join(f), half = join(f), slow = join(f);
	f->body = 16 << 20;
	say(&half, "GET /metrics HT");
	say(&slow, GET);
	loop_for(f->base, quick.lifetime_ms - 200);
	say(&half, "TP"); /* does not extend the lifetime */
	assert_true(is_ended(&silent));
	assert_true(is_ended(&half));
	listen_to_end(&slow);
	assert_true(slow.length < f->body);
	leave(&silent);
	leave(&half);
	leave(&slow);
}

static void connections_above_the_limit_wait(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer peers[3] = {join(f), join(f), join(f)}, last = join(f);
	say(&last, GET);
	loop_for(f->base, 50);
	assert_int_equal(f->scrapes, 0);
	leave(&peers[1]);
	listen_to_end(&last);
	expect_status(&last, "200 OK");
	leave(&last);
	leave(&peers[0]);
	leave(&peers[2]);
}

static void half_requests_give_way_to_a_scrape(void **state)
{
	struct http_fixture *f = *state;
	struct http_peer halves[3];
	for (int i = 0; i < 3; i++) {
		halves[i] = join(f);
		say(&halves[i], "GET /metrics HTTP/1.1\r\n");
		loop_for(f->base, 10);
	}
	struct http_peer last = join(f);
	say(&last, GET);
	loop_for(f->base, quick.half_ms + 100);
	assert_int_equal(f->scrapes, 1); /* before the lifetime of any */
	listen_to_end(&last);
	expect_status(&last, "200 OK");
	leave(&last);
	for (int i = 0; i < 3; i++)
		leave(&halves[i]);
}

static void the_listener_moves_and_stops_on_request(void **state)
{
	struct http_fixture *f = *state;
	const struct berth_metrics_config first = f->where, nowhere = {0};
	/* The same port on another address: only its own listener is in conflict. */
	listens(f, at("0.0.0.0", first.port));
	ask(f, GET, "200 OK");
	listens(f, at("::1", free_port("::1")));
	ask(f, GET, "200 OK");
	assert_int_equal(connect_to(&first), -1);
	const struct berth_metrics_config last = f->where;
	listens(f, nowhere);
	assert_int_equal(connect_to(&last), -1);
	listens(f, first);
	struct http_peer peer = join(f);
	listens(f, first); /* no effect on connections */
	say(&peer, GET);
	listen_to_end(&peer);
	expect_status(&peer, "200 OK");
	leave(&peer);
}

static void after_an_error_the_listener_keeps_its_address(void **state)
{
	struct http_fixture *f = *state;
	char error[BERTH_ERROR_BYTES] = "", expected[128];
	int fd;
	struct berth_metrics_config taken = at("127.0.0.1", take_port("127.0.0.1", &fd));
	struct berth_metrics_config foreign = at("2001:db8::1", 9427);
	assert_int_equal(berth_metrics_http_listen(f->http, &taken, error), -EADDRINUSE);
	snprintf(expected, sizeof(expected), "metrics: cannot listen on 127.0.0.1:%u: Address already in use",
		 taken.port);
	assert_memory_equal(error, expected, strlen(expected));
	ask(f, GET, "200 OK");
	assert_true(berth_metrics_http_listen(f->http, &foreign, error) < 0);
	assert_non_null(strstr(error, "[2001:db8::1]:9427"));
	ask(f, GET, "200 OK");
	close(fd);
}

/* In a network namespace of its own, so the last test. */
static void an_address_that_is_late_at_the_start_is_waited_for(void **state)
{
	struct http_fixture *f = *state;
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_metrics_config late = at("192.0.2.77", 9427), foreign = at("192.0.2.78", 9427);
	if (unshare(CLONE_NEWNET))
		fail_msg("as root only");
	assert_int_equal(system("ip link set lo up"), 0);
	berth_metrics_http_free(f->http);
	f->http = berth_metrics_http_new(f->base, &quick, write_body, f);
	listens(f, late);
	assert_non_null(strstr(berth_metrics_http_fault(f->http), "192.0.2.77:9427"));
	/* The same configuration again keeps waiting. */
	listens(f, late);
	assert_true(berth_metrics_http_fault(f->http)[0]);
	assert_int_equal(berth_metrics_http_listen(f->http, &foreign, error), -EADDRNOTAVAIL);
	assert_int_equal(system("ip addr add 192.0.2.77/32 dev lo"), 0);
	assert_true(wait_until(!berth_metrics_http_fault(f->http)[0], 3000, loop_for(f->base, 20)));
	ask(f, GET, "200 OK");
}

int main(void)
{
#define TEST_QUICK(name) cmocka_unit_test_setup_teardown(name, set_up_quick, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_scrape_returns_the_text_and_its_type),
		cmocka_unit_test_setup_teardown(a_text_may_take_many_turns, set_up_patient, tear_down),
		TEST(ready_answers_200_or_503_with_the_reasons),
		TEST(other_requests_get_the_right_error_status),
		TEST_QUICK(other_pages_exist_while_the_configuration_says_so),
		TEST_QUICK(the_size_of_a_request_is_limited),
		TEST(a_request_may_arrive_in_pieces),
		TEST(a_connection_gets_one_response),
		TEST(a_half_closed_client_gets_the_response),
		TEST_QUICK(no_connection_exceeds_its_lifetime),
		TEST_QUICK(half_requests_give_way_to_a_scrape),
		TEST_QUICK(connections_above_the_limit_wait),
		TEST(the_listener_moves_and_stops_on_request),
		TEST(after_an_error_the_listener_keeps_its_address),
		TEST(an_address_that_is_late_at_the_start_is_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
