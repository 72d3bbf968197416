/* SPDX-License-Identifier: BSD-3-Clause */
/* Forks while another thread makes and destroys plans: every child can make a plan and convolve at once. */
#define _POSIX_C_SOURCE 200809L
#include "conv.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FORKS = 1000, TIME_LIMIT_MS = 1000 };

static const test_place plain = {TEST_PLAIN, 0, 1};

typedef struct {
    lcv_context *context;
    lcv_conv_params params;
    test_conv expected;
    _Atomic bool stop;
    _Atomic int64_t plans, failures;
} world;

/* Plans of changing sizes, so that FFTW always has something to think about. */
static void *plan_all_the_time(void *arg)
{
    world *w = arg;
    for (int64_t i = 0; !atomic_load(&w->stop); i++) {
        lcv_conv_params params = w->params;
        lcv_plan *plan = NULL;
        params.seqlen = 1000 + 64 * (i % 40);
        params.dtype = i % 2 == 0 ? LCV_F32 : LCV_F64;
        if (lcv_conv_plan_create(w->context, &params, &plan) != LCV_OK)
            atomic_fetch_add(&w->failures, 1);
        lcv_plan_destroy(&plan);
        atomic_fetch_add(&w->plans, 1);
    }
    return NULL;
}

/* In the child. Returns its exit status. */
static int plan_and_convolve(world *w)
{
    lcv_plan *plan = NULL;
    test_conv c;
    if (lcv_conv_plan_create(w->context, &w->params, &plan) != LCV_OK)
        return 2;
    test_conv_make(&c, &w->params, &plain, 1);
    if (lcv_conv_forward(plan, &c.args) != LCV_OK || lcv_conv_backward(plan, &c.grads) != LCV_OK)
        return 3;
    const bool same = test_conv_same(&c, &w->expected);
    lcv_plan_destroy(&plan);
    return same ? 0 : 4;
}

/* Waits for the child; one that takes too long is ended and counts as hung. */
static int status_of(pid_t child)
{
    const struct timespec pause = {.tv_nsec = 500 * 1000};
    int status = 0;
    for (int waited = 0; waited < 2 * TIME_LIMIT_MS; waited++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
        nanosleep(&pause, NULL);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return 99;
}

static void fork_many_times(const char *engine, int32_t threads, int forks)
{
    static world w;
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    pthread_t planner;
    params.num_threads = threads;
    assert_int_equal(lcv_context_create(&params, &w.context), LCV_OK);
    w.params = test_conv_params(2, 4, 700, 90);
    w.params.engine = engine;
    w.params.backend = "cpu";
    if (lcv_conv_query(w.context, &w.params, NULL) != LCV_OK) {
        lcv_context_destroy(&w.context);
        return; /* built without this engine */
    }
    atomic_store(&w.stop, false);
    lcv_plan *plan = test_conv_plan(w.context, &w.params, "cpu", engine);
    test_conv_make(&w.expected, &w.params, &plain, 1);
    test_conv_run(plan, &w.expected); /* from here on the library's threads exist in the parent */
    assert_int_equal(pthread_create(&planner, NULL, plan_all_the_time, &w), 0);
    int bad = 0, last = 0;
    for (int i = 0; i < forks && bad < 3; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(plan_and_convolve(&w));
        const int status = status_of(child);
        bad += status != 0;
        last = status != 0 ? status : last;
    }
    atomic_store(&w.stop, true);
    pthread_join(planner, NULL);
    if (bad != 0)
        fail_msg("engine %s, %d threads: %d children failed, the last with %d (99: hung)", engine, threads,
                 bad, last);
    assert_int_equal(atomic_load(&w.failures), 0);
    assert_true(atomic_load(&w.plans) > 0);
    lcv_plan_destroy(&plan);
    test_conv_free(&w.expected);
    lcv_context_destroy(&w.context);
}

static void children_on_one_thread(void **state)
{
    (void)state;
    fork_many_times("fftw", 1, FORKS);
}

/* OpenMP's threads do not come along into the child. */
static void children_of_a_threaded_parent(void **state)
{
    (void)state;
    fork_many_times("fftw", 2, FORKS / 5);
    fork_many_times("direct", 2, FORKS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_on_one_thread),
        cmocka_unit_test(children_of_a_threaded_parent),
    };
    if (TEST_WITH_TSAN || TEST_WITH_ASAN) {
        puts("skipped: a sanitizer's own locks are not held over a fork of a threaded program, so that its "
             "children "
             "may hang in them");
        return 77;
    }
    return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
