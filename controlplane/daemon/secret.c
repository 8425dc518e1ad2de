// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/daemon/private.h"
#include "controlplane/saved/directory.h"
#include "controlplane/saved/secret.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

#define FILE_NAME "secret"
#define DIGEST_NAME "secret.digest"

static int read_shared(struct berth_daemon *daemon, const char *path, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ERROR_BYTES];
	size_t length;
	char *text = berth_secret_read_file(path, &length, reason);
	int err = text ? berth_secret_parse(daemon->secret, text, length, reason) : -EINVAL;
	free(text);
	snprintf(daemon->state.secret_path, sizeof(daemon->state.secret_path), "%s", path);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES,
			 "secret-file %s cannot be used: %s; copy it from another node with mode 600, or make the "
			 "first one: openssl rand -hex 32",
			 path, reason);
	return err;
}

/* Writes the digest of a text that has none, or a damaged one. -EINVAL, with the reason: the text is damaged. */
static int check_digest(const struct berth_daemon *daemon, const char *text, size_t length,
			char error[BERTH_ERROR_BYTES])
{
	char digest[BERTH_SECRET_DIGEST_TEXT], ignored[BERTH_ERROR_BYTES];
	size_t n;
	berth_secret_digest_format(text, length, digest);
	char *stored = berth_saved_read(&daemon->directory, DIGEST_NAME, &n, ignored);
	const bool is_whole = stored && berth_secret_digest_is_whole(stored, n);
	const bool is_same = is_whole && memcmp(stored, digest, n) == 0;
	free(stored);
	if (!is_whole)
		berth_saved_write(&daemon->directory, DIGEST_NAME, digest, ignored);
	if (is_same || !is_whole)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "its content is not what berthd wrote; a secret of your own is named by `secret-file`");
	return -EINVAL;
}

static bool read_own(struct berth_daemon *daemon)
{
	const struct berth_saved_directory *directory = &daemon->directory;
	char error[BERTH_ERROR_BYTES];
	size_t length;
	char *text = berth_saved_read(directory, FILE_NAME, &length, error);
	bool is_known = text && berth_secret_parse(daemon->secret, text, length, error) == 0 &&
			check_digest(daemon, text, length, error) == 0;
	if (error[0])
		berth_saved_set_aside(directory, FILE_NAME, error, daemon->state.saved_damage);
	free(text);
	return is_known;
}

int berth_daemon_secret_read(struct berth_daemon *daemon, const struct berth_config *config,
			     char error[BERTH_ERROR_BYTES])
{
	bool is_known = true;
	if (config->secret_file[0]) {
		if (read_shared(daemon, config->secret_file, error))
			return -EINVAL;
	} else {
		snprintf(daemon->state.secret_path, sizeof(daemon->state.secret_path), "%s/" FILE_NAME,
			 daemon->directory.path);
		is_known = read_own(daemon);
	}
	daemon->options.paths.secret = is_known ? daemon->secret : NULL;
	return 0;
}

int berth_daemon_secret_keep(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	char text[BERTH_SECRET_TEXT], digest[BERTH_SECRET_DIGEST_TEXT];
	if (daemon->options.paths.secret)
		return 0;
	berth_secret_format(daemon->engine->image.ctl->secret, text);
	berth_secret_digest_format(text, strlen(text), digest);
	/* The digest first: without its secret it has no effect. */
	int err = berth_saved_write(&daemon->directory, DIGEST_NAME, digest, error);
	if (!err)
		err = berth_saved_write(&daemon->directory, FILE_NAME, text, error);
	if (err)
		return err;
	memcpy(daemon->secret, daemon->engine->image.ctl->secret, sizeof(daemon->secret));
	daemon->options.paths.secret = daemon->secret;
	return 0;
}
