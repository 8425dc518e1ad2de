// SPDX-License-Identifier: BSD-3-Clause
/* Requests to the metrics endpoint, in two pieces. The file is included, for the connection without a listener. */
#include "controlplane/metrics/http.c"

#include "tests/fuzz/control/fuzz.h"

static int write_page(void *arg, void **job, struct berth_text *text)
{
	(void)job;
	(void)arg;
	(void)text;
	return 0;
}

static void turn(struct event_base *base)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	static struct berth_metrics_http *http;
	char answer[512] = "";
	int ends[2];
	if (!base) {
		base = event_base_new();
		http = berth_metrics_http_new(base, &berth_metrics_http_limits, write_page, NULL);
	}
	need(http && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	need(create_client(http, ends[0]) == 0);
	const size_t first = size ? data[0] % size : 0;
	need(send(ends[1], data, first, MSG_NOSIGNAL) == (ssize_t)first);
	turn(base);
	if (send(ends[1], data + first, size - first, MSG_NOSIGNAL) >= 0)
		shutdown(ends[1], SHUT_WR);
	turn(base);
	ssize_t n = recv(ends[1], answer, sizeof(answer) - 1, 0);
	need(n <= 0 || strncmp(answer, "HTTP/1.1 ", 9) == 0);
	close(ends[1]);
	turn(base);
	need(http->n_clients == 0);
	return 0;
}
