// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper_program/redis_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdio.h>

#include "controlplane/health/ca.h"

bool berth_redis_tls_trust(struct berth_redis_tls *tls, int fd, const char *name)
{
	X509_STORE *store = berth_ca_store(fd);
	SSL_CTX *context = store ? SSL_CTX_new(TLS_client_method()) : NULL;
	if (!context)
		return false;
	SSL_CTX_set1_cert_store(context, store);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	/* What is not sent yet moves in its buffer. */
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_free(tls->context);
	tls->context = context;
	snprintf(tls->name, sizeof(tls->name), "%s", name);
	return true;
}

static bool set_name(SSL *ssl, const char *name, const union berth_addr *server)
{
	if (name[0])
		return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
	const bool is4 = berth_addr_is4(server);
	return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), is4 ? server->byte + 12 : server->byte, is4 ? 4 : 16);
}

SSL *berth_redis_tls_new(const struct berth_redis_tls *tls, int fd, const union berth_addr *server)
{
	SSL *ssl = tls->context ? SSL_new(tls->context) : NULL;
	if (ssl && SSL_set_fd(ssl, fd) && set_name(ssl, tls->name, server)) {
		SSL_set_connect_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}

/* `n` of a call that returned it. */
static ssize_t result_of(const SSL *ssl, int n)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : 0;
	default:
		return -EPROTO;
	}
}

static int bounded(size_t n)
{
	return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t berth_redis_tls_send(SSL *ssl, const void *bytes, size_t n)
{
	ERR_clear_error();
	errno = 0;
	return result_of(ssl, SSL_write(ssl, bytes, bounded(n)));
}

ssize_t berth_redis_tls_recv(SSL *ssl, void *bytes, size_t n)
{
	ERR_clear_error();
	errno = 0;
	return result_of(ssl, SSL_read(ssl, bytes, bounded(n)));
}

const char *berth_redis_tls_fault(const SSL *ssl)
{
	const long verified = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	if (verified != X509_V_OK)
		return X509_verify_cert_error_string(verified);
	return reason ? reason : "it does not speak TLS";
}
