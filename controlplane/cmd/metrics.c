// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"

enum {
	SAMPLES_PER_PART = 5000, /* some 0.5 MB */
	MOST_ANSWERS = 4,	 /* each has the values of all backends in memory */
};

/* An answer that is being written. */
struct job {
	struct berth_metrics_writing *writing;
	struct berth_text text; /* of this part */
	bool has_begun;
};

static void job_free(void *arg)
{
	struct job *job = arg;
	berth_metrics_end(job->writing);
	berth_text_clear(&job->text);
	free(job);
}

/* Parts of one JSON string: each is the text of a string without its quotes. */
static int write_text(struct evbuffer *out, const struct berth_text *text)
{
	json_t *string = json_stringn(text->length ? text->bytes : "", text->length);
	char *quoted = json_dumps(string, JSON_ENCODE_ANY);
	json_decref(string);
	const int failed = quoted ? evbuffer_add(out, quoted + 1, strlen(quoted) - 2) : -1;
	free(quoted);
	return failed ? -ENOMEM : 0;
}

static int write_part(void *arg, struct evbuffer *out)
{
	struct job *job = arg;
	const int more = berth_metrics_go_on(job->writing, SAMPLES_PER_PART, &job->text);
	if (more == -ENOMEM)
		return more;
	if (!job->has_begun && job->text.length)
		evbuffer_add_printf(out, "{\"metrics\":\"");
	job->has_begun |= job->text.length > 0;
	if (job->text.length && write_text(out, &job->text))
		return -ENOMEM;
	job->text.length = 0;
	if (!more)
		evbuffer_add_printf(out, "\"}");
	return more;
}

/* False: no client can wait, or there is no memory. */
static bool defer(const struct berth_cmd_context *context)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return false;
	job->writing = berth_metrics_begin(context->state);
	struct berth_server_pending *pending = job->writing ? berth_server_defer(context->server, job_free, job)
							    : NULL;
	if (pending)
		berth_server_answer_in_parts(pending, write_part);
	else
		job_free(job);
	return pending != NULL;
}

enum berth_code berth_cmd_show_metrics(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	struct berth_text text = {0};
	if (berth_server_in_parts(context->server, write_part) >= MOST_ANSWERS)
		return berth_cmd_fail(error, BERTH_CODE_BUSY,
				      "%d clients have not read their metrics yet; try again later", MOST_ANSWERS);
	if (defer(context))
		return BERTH_CODE_OK;
	if (berth_metrics_write(context->state, &text))
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL, "berthd is out of memory");
	*result = json_pack("{s:s%}", "metrics", text.bytes, text.length);
	berth_text_clear(&text);
	return BERTH_CODE_OK;
}
