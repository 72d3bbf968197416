/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_internal.h: what the files of the fake share. Everything is called with the lock held, but for
 * fake_enter. */
#ifndef FAKE_CUDA_INTERNAL_H
#define FAKE_CUDA_INTERNAL_H

#include "fake.h"

/* Takes the lock and counts a call. cudaSuccess, or the error with which the call must fail: the lock is held
 * in both cases, and fake_leave gives it back. */
cudaError_t fake_enter(void);

/* Gives the lock back, remembers the error, and returns it. */
cudaError_t fake_leave(cudaError_t error);

/* Opens or closes all device memory to the CPU. */
void fake_memory_open(bool open);

/* Is this an address in device memory? */
bool fake_memory_holds(const void *address);

/* Work in a stream: run may be called several times, drop once. */
typedef void (*fake_run_fn)(void *closure);
cudaError_t fake_submit(cudaStream_t stream, fake_run_fn run, fake_run_fn drop, void *closure);

/* Forget all that is live. */
void fake_forget_memory(void);
void fake_forget_transforms(void);
void fake_forget_streams(void);

/* Runs what waits in all streams. */
void fake_run_streams(void);

/* Is some stream being captured? Then a call that a capture forbids makes it invalid. */
bool fake_forbidden_in_capture(void);

extern fake_counts fake_all;

/* Aborts: what only a mistake in the tests or in the host code can cause. */
_Noreturn void fake_die(const char *why);

#endif
