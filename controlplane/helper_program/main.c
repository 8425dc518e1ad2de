// SPDX-License-Identifier: BSD-3-Clause
/*
 * berth-helper NAME RUN_DIR: talks to the network for berthd, which starts it and is at the other end of
 * descriptor 3. It probes backends, looks up DNS names, or visits the store of a cluster, without privileges
 * (confine.h), and ends with berthd.
 */
#include <ares.h>
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/helper_program/confine.h"
#include "controlplane/helper_program/serve.h"
#include "controlplane/util/log.h"

enum {
	STREAM_FD = 3,
};

struct helper {
	struct berth_stream *stream;
	struct berth_serve_probes *probes;
	struct berth_serve_lookups *lookups;
	struct berth_serve_store *store;
	struct berth_serve_rounds *rounds;
};

static bool on_received(void *arg, const struct berth_helper_header *message, const int *fds, size_t n_fds)
{
	const struct helper *helper = arg;
	struct berth_helper_header pong = {.type = BERTH_HELPER_PONG, .id = message->id};
	switch (message->type) {
	case BERTH_HELPER_PING:
		return berth_stream_send(helper->stream, &pong, sizeof(pong), NULL, 0) == 0;
	case BERTH_HELPER_PROBE:
		return berth_serve_probe(helper->probes, message, fds, n_fds);
	case BERTH_HELPER_LOOKUP:
		return berth_serve_lookup(helper->lookups, message);
	case BERTH_HELPER_STORE_VISIT:
		return berth_serve_store_visit(helper->store, message, fds, n_fds);
	case BERTH_HELPER_STORE_TELL:
		return berth_serve_store_tell(helper->rounds, message);
	case BERTH_HELPER_STORE_ROUND:
		return berth_serve_store_round(helper->rounds, message);
	case BERTH_HELPER_CANCEL:
		berth_serve_probes_cancel(helper->probes, message->id);
		berth_serve_lookups_cancel(helper->lookups, message->id);
		berth_serve_store_cancel(helper->store, message->id);
		return true;
	default:
		return false;
	}
}

/* berthd has ended, or is of another version. */
static void on_ended(void *arg, const char *fault)
{
	(void)arg;
	if (fault)
		berth_log("berth-helper: berthd sent %s", fault);
	_Exit(fault ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* What the libraries load, they load before there are no files. */
static bool load_libraries(void)
{
	SSL_CTX *context = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == 0 && ares_library_init(ARES_LIB_INIT_ALL) == 0)
		context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_free(context);
	return context;
}

static int serve(struct event_base *base, struct berth_serve_probes *probes)
{
	static struct helper helper;
	static struct berth_redis_tls tls;
	const struct berth_stream_listener listener = {.received = on_received, .ended = on_ended, .arg = &helper};
	helper.probes = probes;
	helper.lookups = berth_serve_lookups_new(base);
	helper.store = berth_serve_store_new(base, &tls);
	helper.rounds = berth_serve_rounds_new(base, &tls);
	helper.stream = berth_stream_new(base, STREAM_FD, true, &listener);
	if (!helper.lookups || !helper.store || !helper.rounds || !helper.stream)
		return EXIT_FAILURE;
	berth_serve_probes_set_stream(helper.probes, helper.stream);
	berth_serve_lookups_set_stream(helper.lookups, helper.stream);
	berth_serve_store_set_stream(helper.store, helper.stream);
	berth_serve_rounds_set_stream(helper.rounds, helper.stream);
	return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *step = "load its libraries";
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("berth-helper " BERTH_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc != 3) {
		fputs("berth-helper is started by berthd\n", stderr);
		return EXIT_FAILURE;
	}
	struct event_base *base = event_base_new();
	struct berth_serve_probes *probes = base ? berth_serve_probes_new(base) : NULL;
	int err = probes && load_libraries() ? berth_confine(argv[2], &step) : -1;
	if (!err)
		return serve(base, probes);
	berth_log("berth-helper (%s): cannot %s%s%s", argv[1], step, err < -1 ? ": " : "",
		  err < -1 ? strerror(-err) : "");
	return EXIT_FAILURE;
}
