/* SPDX-License-Identifier: BSD-3-Clause */
/* The BPF program that turns what is written into a TAP into packets received on a real interface
 * (bpf/berth_inject.bpf.c). Main lcore. */
#pragma once

/* Loads the program and attaches it to `tap`, for `interface`. It is gone when the TAP is. The object is in
 * `bpf_dir`; NULL: beside the executable in a build tree, else where it is installed. 0 or -errno; the reason is
 * logged. */
int berth_inject_attach(const char *bpf_dir, const char *tap, const char *interface);
