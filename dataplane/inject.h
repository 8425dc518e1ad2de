/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads bpf/berth_inject.bpf.c: packets written into a TAP device arrive on another interface. Main lcore. */
#pragma once

/* Attaches the program to `tap`, to inject into `interface`. The kernel removes it with the TAP device. The object
 * file is in `bpf_dir`; NULL: see berth_object_find. 0 or -errno; the reason is logged. */
int berth_inject_attach(const char *bpf_dir, const char *tap, const char *interface);
