/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that are sent and received by many at a time. */
#pragma once

#include "tests/faults/question.h"

struct burst {
	int fd;
	unsigned count; /* frames that wait */
	uint64_t sent, lost;
	struct mmsghdr messages[QUESTION_BURST];
	struct iovec parts[QUESTION_BURST];
	uint8_t frames[QUESTION_BURST][QUESTION_FRAME_MAX];
};

static inline void burst_init(struct burst *burst, int fd)
{
	*burst = (struct burst){.fd = fd};
	for (int i = 0; i < QUESTION_BURST; i++) {
		burst->parts[i] = (struct iovec){burst->frames[i], QUESTION_FRAME_MAX};
		burst->messages[i].msg_hdr = (struct msghdr){.msg_iov = &burst->parts[i], .msg_iovlen = 1};
	}
}

/* A full queue loses frames: they are asked again. */
static inline void burst_flush(struct burst *burst)
{
	if (!burst->count)
		return;
	int n = sendmmsg(burst->fd, burst->messages, burst->count, 0);
	burst->sent += n > 0 ? (unsigned)n : 0;
	burst->lost += burst->count - (n > 0 ? (unsigned)n : 0);
	burst->count = 0;
}

/* The place of the next frame to send; burst_push() gives its length. */
static inline uint8_t *burst_next(struct burst *burst)
{
	if (burst->count == QUESTION_BURST)
		burst_flush(burst);
	return burst->frames[burst->count];
}

static inline void burst_push(struct burst *burst, uint32_t length)
{
	burst->parts[burst->count++].iov_len = length;
}

/* Number of frames that were received, of messages[i].msg_len bytes each. */
static inline int burst_receive(struct burst *burst)
{
	for (int i = 0; i < QUESTION_BURST; i++)
		burst->parts[i].iov_len = QUESTION_FRAME_MAX;
	int n = recvmmsg(burst->fd, burst->messages, QUESTION_BURST, MSG_DONTWAIT, NULL);
	return n > 0 ? n : 0;
}
