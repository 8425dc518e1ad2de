/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP and HTTPS probe: libcurl's multi interface on the event loop. Nothing blocks, since addresses are numeric.
 * Each probe is one request on a new connection. Headers, body and duration of the response are bounded; redirects
 * are not followed.
 */
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/ca.h"
#include "controlplane/health/match.h"
#include "controlplane/health/probe_io.h"
#include "controlplane/health/types.h"
#include "controlplane/util/address.h"

enum {
	MAX_HEADER_BYTES = 32 << 10, /* includes 1xx responses and trailers */
	MAX_BODY_BYTES = 64 << 10,   /* the rest is not read */
	URL_BYTES = BERTH_HEALTH_TEXT_BYTES + BERTH_HEALTH_TEXT_BYTES + 32,
};

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event timer;
	SLIST_HEAD(, exchange) idle; /* for reuse; as many as were pending at once */
};

/* One request and its response; reused by later probes. */
struct exchange {
	CURL *easy;
	struct http *http;
	struct berth_probe *probe; /* NULL: idle */
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	struct berth_match match;
	size_t header_bytes;
	size_t body_bytes;
	int socket_error;
	X509_STORE *store; /* CA certificates; NULL: not verified */
	char error[CURL_ERROR_SIZE];
	SLIST_ENTRY(exchange) entry;
};

/* --- libcurl's callbacks --- */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	struct exchange *exchange = arg;

	exchange->header_bytes += size * n;
	return exchange->header_bytes <= MAX_HEADER_BYTES ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *exchange = arg;
	size_t space = MAX_BODY_BYTES - exchange->body_bytes;
	size_t used = size * n < space ? size * n : space;

	berth_match_feed(&exchange->match, data, used);
	exchange->body_bytes += used;
	exchange->probe->timeout_reason = "no complete response";
	return exchange->body_bytes < MAX_BODY_BYTES ? size * n : 0;
}

/* Closing resets the connection, so that neither side keeps it in TIME_WAIT. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	(void)purpose;
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct exchange *exchange = arg;

	int fd = berth_probe_socket(exchange->probe, to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    IPPROTO_TCP);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		exchange->socket_error = errno;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* --- completion --- */

static void release(struct exchange *exchange)
{
	struct http *http = exchange->http;

	curl_multi_remove_handle(http->multi, exchange->easy);
	curl_easy_reset(exchange->easy);
	curl_slist_free_all(exchange->headers);
	curl_slist_free_all(exchange->connect_to);
	exchange->headers = NULL;
	exchange->connect_to = NULL;
	X509_STORE_free(exchange->store);
	exchange->store = NULL;
	exchange->probe = NULL;
	SLIST_INSERT_HEAD(&http->idle, exchange, entry);
}

static bool is_expected(const struct berth_health_config *check, long status)
{
	for (size_t i = 0; i < check->n_statuses; i++)
		if (status >= check->statuses[i].first && status <= check->statuses[i].last)
			return true;
	return false;
}

static enum berth_probe_result evaluate_response(const struct exchange *exchange)
{
	struct berth_probe *probe = exchange->probe;
	const struct berth_health_config *check = probe->key.check;
	long status = 0;

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!is_expected(check, status)) {
		berth_probe_set_reason(probe, "status %ld%s", status,
				       status >= 300 && status < 400 ? " (redirects are not followed)" : "");
		return BERTH_PROBE_FAILURE;
	}
	if (exchange->match.matched < check->expect_bytes) {
		berth_probe_set_reason(probe,
				       "status %ld, expected text not found in the first %zu bytes of the body",
				       status, exchange->body_bytes);
		return BERTH_PROBE_FAILURE;
	}
	berth_probe_set_reason(probe, "status %ld in %.1f ms", status, berth_probe_elapsed_ms(probe));
	return BERTH_PROBE_SUCCESS;
}

static enum berth_probe_result evaluate_error(const struct exchange *exchange, CURLcode code)
{
	struct berth_probe *probe = exchange->probe;
	long error = exchange->socket_error;

	if (!error && code == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(exchange->easy, CURLINFO_OS_ERRNO, &error);
	if (error)
		return berth_probe_fail(probe, (int)error);
	if (exchange->header_bytes > MAX_HEADER_BYTES)
		berth_probe_set_reason(probe, "more than %d KiB of headers", MAX_HEADER_BYTES >> 10);
	else if (code == CURLE_OUT_OF_MEMORY)
		berth_probe_set_reason(probe, "a header of more than 100 KiB"); /* libcurl's own limit */
	else
		berth_probe_set_reason(probe, "%s",
				       exchange->error[0] ? exchange->error : curl_easy_strerror(code));
	return BERTH_PROBE_FAILURE;
}

static enum berth_probe_result evaluate(const struct exchange *exchange, CURLcode code)
{
	/* on_body ends a long response with a write error. */
	bool has_response = code == CURLE_OK ||
			    (code == CURLE_WRITE_ERROR && exchange->body_bytes == MAX_BODY_BYTES);
	return has_response ? evaluate_response(exchange) : evaluate_error(exchange, code);
}

/* Reports completed exchanges. A result may start and cancel other exchanges, so release comes first. */
static void report_completed(struct http *http)
{
	struct CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct exchange *exchange;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
		struct berth_probe *probe = exchange->probe;
		enum berth_probe_result result = evaluate(exchange, code);
		release(exchange);
		berth_probe_done(probe, result);
	}
}

/* --- event loop: libcurl names the sockets to watch and its next timeout --- */

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	struct http *http = arg;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	report_completed(http);
}

static int on_set_timer(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	struct http *http = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	return ms < 0 ? evtimer_del(&http->timer) : evtimer_add(&http->timer, &tv);
}

static void on_ready(evutil_socket_t fd, short events, void *arg)
{
	struct http *http = arg;
	int action = (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(http->multi, fd, action, &running);
	report_completed(http);
}

static int on_set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *own)
{
	(void)easy;
	struct http *http = arg;
	struct event *event = own;
	short events = EV_PERSIST;

	if (event)
		event_free(event);
	events |= what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EV_READ : 0;
	events |= what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EV_WRITE : 0;
	event = what == CURL_POLL_REMOVE ? NULL : event_new(http->base, fd, events, on_ready, http);
	if (event)
		event_add(event, NULL);
	/* If event_new failed the probe times out. */
	curl_multi_assign(http->multi, fd, event);
	return 0;
}

/* --- start --- */

static struct exchange *create_exchange(struct http *http)
{
	struct exchange *exchange = SLIST_FIRST(&http->idle);

	if (exchange) {
		SLIST_REMOVE_HEAD(&http->idle, entry);
		return exchange;
	}
	exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return NULL;
	exchange->http = http;
	exchange->easy = curl_easy_init();
	if (!exchange->easy) {
		free(exchange);
		return NULL;
	}
	return exchange;
}

/* Formats an address for a URL. */
static void format_host(const union berth_addr *address, char text[BERTH_ADDRESS_TEXT + 2])
{
	char plain[BERTH_ADDRESS_TEXT];
	bool is4 = berth_addr_is4(address);

	snprintf(text, BERTH_ADDRESS_TEXT + 2, "%s%s%s", is4 ? "" : "[", berth_address_format(address, plain),
		 is4 ? "" : "]");
}

/* Host name of the URL; libcurl uses it for SNI and to verify the certificate. */
static void format_name(const struct berth_health_config *check, const char *address,
			char name[BERTH_HEALTH_TEXT_BYTES])
{
	if (check->type == BERTH_HEALTH_HTTPS && check->tls_name[0])
		snprintf(name, BERTH_HEALTH_TEXT_BYTES, "%s", check->tls_name);
	else if (check->type == BERTH_HEALTH_HTTPS && check->host[0] && check->host[0] != '[')
		snprintf(name, BERTH_HEALTH_TEXT_BYTES, "%.*s", (int)strcspn(check->host, ":"), check->host);
	else
		snprintf(name, BERTH_HEALTH_TEXT_BYTES, "%s", address);
}

/* Appends to a list; on error the list is unchanged. */
static bool append(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (longer)
		*list = longer;
	return longer;
}

/* Sets address, URL and headers. */
static bool set_request(struct exchange *exchange)
{
	const struct berth_probe_key *key = &exchange->probe->key;
	const struct berth_health_config *check = key->check;
	char address[BERTH_ADDRESS_TEXT + 2], name[BERTH_HEALTH_TEXT_BYTES], text[URL_BYTES];
	CURL *easy = exchange->easy;

	format_host(&key->address, address);
	format_name(check, address, name);
	snprintf(text, sizeof(text), "::%s:%u", address, (unsigned int)key->port);
	if (!append(&exchange->connect_to, text) || !append(&exchange->headers, "Connection: close"))
		return false;
	snprintf(text, sizeof(text), "Host: %s", check->host);
	if (check->host[0] && !append(&exchange->headers, text))
		return false;
	snprintf(text, sizeof(text), "%s://%s:%u%s", berth_health_type_name(check->type), name,
		 (unsigned int)key->port, check->path);
	return !curl_easy_setopt(easy, CURLOPT_URL, text) && !curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_NOBODY, (long)check->is_head) &&
	       !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) &&
	       !curl_easy_setopt(easy, CURLOPT_CONNECT_TO, exchange->connect_to) &&
	       !curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth");
}

/* Isolates the probe: no proxy, no redirect, no reused connection, DNS answer or TLS session. */
static bool set_isolation(CURL *easy)
{
	return !curl_easy_setopt(easy, CURLOPT_PROXY, "") && !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

static CURLcode on_tls(CURL *easy, void *tls, void *arg)
{
	(void)easy;
	const struct exchange *exchange = arg;

	if (exchange->store)
		SSL_CTX_set1_cert_store(tls, exchange->store);
	return CURLE_OK;
}

/* The certificates come from a store that probes share. libcurl's own cache would mix up the stores of checks. */
static bool set_tls(struct exchange *exchange)
{
	long verify = exchange->store ? 1 : 0;
	CURL *easy = exchange->easy;

	if (exchange->probe->key.check->type != BERTH_HEALTH_HTTPS)
		return true;
	return !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) &&
	       !curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) && !curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) &&
	       !curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls) &&
	       !curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, exchange);
}

static bool set_callbacks(struct exchange *exchange)
{
	CURL *easy = exchange->easy;

	return !curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) &&
	       !curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) &&
	       !curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) &&
	       !curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) &&
	       !curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
}

/* PENDING: *store has the CA certificates of the check, or is NULL because it needs none. */
static enum berth_probe_result find_store(struct berth_probe *probe, X509_STORE **store)
{
	*store = NULL;
	if (!berth_ca_is_needed(probe->key.check))
		return BERTH_PROBE_PENDING;
	int fd = probe->ca_fd >= 0 ? probe->ca_fd : berth_ca_open(probe->key.check);
	probe->ca_fd = -1;
	if (fd < 0)
		return berth_ca_fail(probe, -fd);
	*store = berth_ca_store(fd);
	close(fd);
	return *store ? BERTH_PROBE_PENDING : berth_ca_fail(probe, EINVAL);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	const struct berth_health_config *check = probe->key.check;
	struct http *http = probe->shared;
	X509_STORE *store;
	enum berth_probe_result result = find_store(probe, &store);

	if (result != BERTH_PROBE_PENDING)
		return result;
	struct exchange *exchange = create_exchange(http);
	if (!exchange)
		return berth_probe_fail(probe, ENOMEM);
	exchange->probe = probe;
	/* Another file may take its place while the probe runs. */
	exchange->store = store;
	if (store)
		X509_STORE_up_ref(store);
	exchange->header_bytes = 0;
	exchange->body_bytes = 0;
	exchange->socket_error = 0;
	exchange->error[0] = 0;
	berth_match_init(&exchange->match, check->expect, check->expect_bytes);
	if (!set_request(exchange) || !set_isolation(exchange->easy) || !set_tls(exchange) ||
	    !set_callbacks(exchange) || curl_multi_add_handle(http->multi, exchange->easy)) {
		release(exchange);
		return berth_probe_fail(probe, ENOMEM);
	}
	probe->own = exchange;
	return BERTH_PROBE_PENDING;
}

static void cancel(struct berth_probe *probe)
{
	release(probe->own);
}

static void close_shared(void *shared)
{
	struct http *http = shared;
	struct exchange *exchange;

	while ((exchange = SLIST_FIRST(&http->idle))) {
		SLIST_REMOVE_HEAD(&http->idle, entry);
		curl_easy_cleanup(exchange->easy);
		free(exchange);
	}
	curl_multi_cleanup(http->multi);
	evtimer_del(&http->timer);
	curl_global_cleanup();
	berth_ca_clear();
	free(http);
}

static void *open_shared(struct event_base *base)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT))
		goto no_curl;
	http->multi = curl_multi_init();
	if (!http->multi)
		goto no_multi;
	http->base = base;
	SLIST_INIT(&http->idle);
	evtimer_assign(&http->timer, base, on_timer, http);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_set_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	return http;
no_multi:
	curl_global_cleanup();
no_curl:
	free(http);
	return NULL;
}

const struct berth_probe_ops berth_probe_http = {
	.open = open_shared, .close = close_shared, .start = start, .cancel = cancel};
