// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/health/ca.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STORES = 16, /* different files at a time; more only cost time */
	MAX_FILE_BYTES = 64 << 20,
};

/* A file that was read, as fstat(2) knows it. */
struct kept {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
	X509_STORE *store;
};

static struct kept kept[STORES];
static size_t next_kept;

bool berth_ca_is_needed(const struct berth_health_config *check)
{
	return check->type == BERTH_HEALTH_HTTPS && !check->is_unverified;
}

static const char *path_of(const struct berth_health_config *check)
{
	const char *path = curl_version_info(CURLVERSION_NOW)->cainfo;
	return check->ca[0] ? check->ca : path ? path : "/etc/ssl/certs/ca-certificates.crt";
}

int berth_ca_open(const struct berth_health_config *check)
{
	struct stat status;
	int fd = open(path_of(check), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

enum berth_probe_result berth_ca_fail(struct berth_probe *probe, int error)
{
	berth_probe_set_reason(probe, "cannot read the CA certificates in %s: %s", path_of(probe->key.check),
			       error == EINVAL ? "not a file with certificates (PEM)" : strerror(error));
	return berth_probe_lacks_resources(error) ? BERTH_PROBE_HOST_ERROR : BERTH_PROBE_MISCONFIGURED;
}

/* Adds all certificates of a text. Returns their number. */
static int add_certificates(X509_STORE *store, const void *text, size_t bytes)
{
	int n = 0;
	BIO *reader = BIO_new_mem_buf(text, (int)bytes);
	X509 *certificate;
	while (reader && (certificate = PEM_read_bio_X509_AUX(reader, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, certificate);
		X509_free(certificate);
	}
	BIO_free(reader);
	ERR_clear_error();
	return n;
}

/* Not mapped: a file that is cut off meanwhile must not end the process. */
static X509_STORE *read_store(int fd, off_t bytes)
{
	X509_STORE *store = NULL;
	char *text = bytes > 0 && bytes <= MAX_FILE_BYTES ? malloc((size_t)bytes) : NULL;
	ssize_t n = text ? pread(fd, text, (size_t)bytes, 0) : -1;
	if (n > 0)
		store = X509_STORE_new();
	if (store && add_certificates(store, text, (size_t)n) == 0) {
		X509_STORE_free(store);
		store = NULL;
	}
	if (store)
		X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	free(text);
	return store;
}

X509_STORE *berth_ca_store(int fd)
{
	struct stat status;
	if (fstat(fd, &status))
		return NULL;
	for (size_t i = 0; i < STORES; i++) {
		const struct kept *one = &kept[i];
		if (one->store && one->device == status.st_dev && one->inode == status.st_ino &&
		    one->bytes == status.st_size && one->changed.tv_sec == status.st_ctim.tv_sec &&
		    one->changed.tv_nsec == status.st_ctim.tv_nsec)
			return one->store;
	}
	X509_STORE *store = read_store(fd, status.st_size);
	if (!store)
		return NULL;
	X509_STORE_free(kept[next_kept].store);
	kept[next_kept] = (struct kept){status.st_dev, status.st_ino, status.st_size, status.st_ctim, store};
	next_kept = (next_kept + 1) % STORES;
	return store;
}

void berth_ca_clear(void)
{
	for (size_t i = 0; i < STORES; i++) {
		X509_STORE_free(kept[i].store);
		kept[i].store = NULL;
	}
}
