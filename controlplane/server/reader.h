/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long requests, which a thread parses while the loop goes on: the text of 10,000 services takes 30 ms. Called by
 * server.c, on the thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct berth_server_reader;
struct server_client;

/* NULL: out of memory. */
struct berth_server_reader *berth_server_reader_new(struct event_base *base);
/* After all clients. Waits for the thread. */
void berth_server_reader_free(struct berth_server_reader *reader);
/* Takes the request in the first `length` bytes of the client's input, and their newline, and runs it later. False:
 * it is short, or a request of this length has to wait for too many others; nothing is taken. */
bool berth_server_reader_take(struct berth_server_reader *reader, struct server_client *client, size_t length);
