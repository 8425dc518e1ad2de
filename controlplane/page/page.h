/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The page for people: one document that shows services, backends, drops and nodes, and the figures that it asks
 * for. Read-only, for everyone who reaches the metrics address. On the thread of berthd's event loop.
 */
#pragma once

#include "controlplane/cmd/cmd.h"
#include "controlplane/metrics/text.h"

/* Writes what a request target names: "/" is the document, "/show/backends?service=web" the result of that command
 * without the digests of the secret. The type of the content, or NULL: there is no such page. */
const char *berth_page_write(const struct berth_cmd_context *context, const char *target, struct berth_text *text);

/* page.html, as the build embeds it; the last byte is 0. */
extern const char berth_page_document[];
