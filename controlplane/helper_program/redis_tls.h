/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS of connections to Redis, on sockets that do not block. All connections of the process trust the same. */
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include "controlplane/helper/message.h"

struct berth_redis_tls {
	SSL_CTX *context;		 /* NULL: no authorities yet */
	char name[BERTH_DNS_NAME_BYTES]; /* in the certificate; "": the server's address */
};

/* Trusts the authorities in a file. Returns false if it has none, or memory is short. */
bool berth_redis_tls_trust(struct berth_redis_tls *tls, int fd, const char *name);
/* For a socket, which the caller closes after SSL_free. NULL: no authorities, or no memory. */
SSL *berth_redis_tls_new(const struct berth_redis_tls *tls, int fd, const union berth_addr *server);

/* As send and recv do: bytes, 0 if the other end has closed, or -EAGAIN; -EPROTO after a fault, of which
 * berth_redis_tls_fault says what it is. */
ssize_t berth_redis_tls_send(SSL *ssl, const void *bytes, size_t n);
ssize_t berth_redis_tls_recv(SSL *ssl, void *bytes, size_t n);
const char *berth_redis_tls_fault(const SSL *ssl);
