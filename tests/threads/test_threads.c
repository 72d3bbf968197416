/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that make and use plans at once, and the host's own threads inside one execution. A wrong answer
 * here is a difference of one bit. */
#define _POSIX_C_SOURCE 200809L
#include "conv.h"
#include "numbers.h"
#include "targets.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 8, CASES = 12, SECONDS = 3 };

static const test_place plain = {TEST_PLAIN, 0, 1};

/* The library's own threads are OpenMP's, which the thread sanitizer cannot follow. */
static const bool may_use_openmp = !TEST_WITH_TSAN;

static lcv_context *open_threads(int32_t threads)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = threads;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    return context;
}

/* ---- Many plans at once ---- */

typedef struct {
    lcv_context *context;
    struct {
        test_target target;
        lcv_conv_params params;
        test_conv expected;
    } cases[CASES];
    struct timespec end;
    _Atomic int64_t runs, failures;
} crowd;

static bool is_over(const struct timespec *end)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > end->tv_sec || (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec);
}

/* One case from the plan to its end. cmocka's assertions belong to the main thread: this counts. */
static bool run_case(crowd *w, int index)
{
    lcv_conv_params params = w->cases[index].params;
    lcv_plan *plan = NULL;
    test_conv c;
    if (lcv_conv_plan_create(w->context, &params, &plan) != LCV_OK)
        return false;
    test_conv_make(&c, &params, &plain, 1);
    const bool done =
        lcv_conv_forward(plan, &c.args) == LCV_OK && lcv_conv_backward(plan, &c.grads) == LCV_OK;
    const bool same = done && test_conv_same(&c, &w->cases[index].expected);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    return same;
}

static void *crowd_thread(void *arg)
{
    static _Atomic uint64_t seeds;
    crowd *w = arg;
    uint64_t random = atomic_fetch_add(&seeds, 1);
    while (!is_over(&w->end)) {
        if (!run_case(w, (int)(test_bits(&random) % CASES)))
            atomic_fetch_add(&w->failures, 1);
        atomic_fetch_add(&w->runs, 1);
    }
    return NULL;
}

static void fill_cases(crowd *w)
{
    test_target targets[TEST_MAX_TARGETS];
    const int count = test_targets(w->context, targets);
    for (int i = 0; i < CASES; i++) {
        lcv_conv_params *p = &w->cases[i].params;
        *p = test_conv_params(1 + i % 2, 2, 20 + 37 * i, 10 + 11 * (i % 5));
        p->dtype = (lcv_dtype)(i % 4);
        w->cases[i].target = targets[i % count];
        p->backend = w->cases[i].target.backend;
        p->engine = w->cases[i].target.engine;
        lcv_plan *plan = test_conv_plan(w->context, p, p->backend, p->engine);
        test_conv_make(&w->cases[i].expected, p, &plain, 1);
        test_conv_run(plan, &w->cases[i].expected);
        lcv_plan_destroy(&plan);
    }
}

static void start_and_join(void *(*body)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, arg), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void plans_of_many_threads(void **state)
{
    static crowd w;
    (void)state;
    w.context = open_threads(1);
    fill_cases(&w);
    clock_gettime(CLOCK_MONOTONIC, &w.end);
    w.end.tv_sec += SECONDS;
    start_and_join(crowd_thread, &w);
    assert_int_equal(atomic_load(&w.failures), 0);
    assert_true(atomic_load(&w.runs) >= THREADS);
    for (int i = 0; i < CASES; i++)
        test_conv_free(&w.cases[i].expected);
    lcv_context_destroy(&w.context);
}

/* ---- One plan in many threads ---- */

typedef struct {
    lcv_plan *plan;
    lcv_conv_params params;
    size_t workspace_bytes; /* 0: all use the plan's own */
    test_conv expected;
    _Atomic int64_t right, busy, wrong;
} shared;

static void count_result(shared *s, lcv_status forward, lcv_status backward, const test_conv *c)
{
    if (forward == LCV_BUSY || backward == LCV_BUSY)
        atomic_fetch_add(&s->busy, 1);
    else if (forward == LCV_OK && backward == LCV_OK && test_conv_same(c, &s->expected))
        atomic_fetch_add(&s->right, 1);
    else
        atomic_fetch_add(&s->wrong, 1);
}

static void *shared_thread(void *arg)
{
    enum { ROUNDS = 30 };
    shared *s = arg;
    char *workspace = s->workspace_bytes > 0 ? malloc(s->workspace_bytes) : NULL;
    for (int round = 0; round < ROUNDS; round++) {
        test_conv c;
        test_conv_make(&c, &s->params, &plain, 1);
        c.args.exec.workspace = c.grads.exec.workspace = workspace;
        c.args.exec.workspace_bytes = c.grads.exec.workspace_bytes = s->workspace_bytes;
        const lcv_status forward = lcv_conv_forward(s->plan, &c.args);
        const lcv_status backward = lcv_conv_backward(s->plan, &c.grads);
        count_result(s, forward, backward, &c);
        test_conv_free(&c);
    }
    free(workspace);
    return NULL;
}

static void share(lcv_context *context, const test_target *target, bool own_workspaces, shared *s)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    memset(s, 0, sizeof *s);
    s->params = test_conv_params(2, 3, 300, 40);
    s->plan = test_conv_plan(context, &s->params, target->backend, target->engine);
    test_conv_make(&s->expected, &s->params, &plain, 1);
    test_conv_run(s->plan, &s->expected);
    assert_int_equal(lcv_plan_describe(s->plan, &info), LCV_OK);
    s->workspace_bytes = own_workspaces ? info.workspace_bytes : 0;
    start_and_join(shared_thread, s);
    assert_int_equal(atomic_load(&s->wrong), 0);
    test_conv_free(&s->expected);
    lcv_plan_destroy(&s->plan);
}

static void one_plan_with_own_workspaces(void **state)
{
    static shared s;
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_threads(1);
    const int count = test_targets(context, targets);
    (void)state;
    for (int t = 0; t < count; t++) {
        share(context, &targets[t], true, &s);
        assert_int_equal(atomic_load(&s.busy), 0);
    }
    lcv_context_destroy(&context);
}

static void one_plan_with_its_own_workspace(void **state)
{
    static shared s;
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_threads(1);
    const int count = test_targets(context, targets);
    (void)state;
    for (int t = 0; t < count; t++)
        share(context, &targets[t], false, &s); /* BUSY or right, as chance has it */
    lcv_context_destroy(&context);
}

/* Not by chance: a second call from within the first. */
typedef struct {
    const lcv_plan *plan;
    test_conv inner;
    char *workspace;
    size_t workspace_bytes;
    int calls;
    lcv_status without, with; /* a workspace of its own */
} nested;

static void call_again(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    nested *n = user;
    if (n->calls++ == 0) {
        n->without = lcv_conv_forward(n->plan, &n->inner.args);
        n->inner.args.exec.workspace = n->workspace;
        n->inner.args.exec.workspace_bytes = n->workspace_bytes;
        n->with = lcv_conv_forward(n->plan, &n->inner.args);
    }
    for (int64_t i = 0; i < count; i++)
        task(arg, i);
}

static void a_call_within_a_call(void **state)
{
    static nested n;
    static test_conv outer;
    lcv_conv_params params = test_conv_params(4, 4, 100, 40);
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_context *context = open_threads(1);
    (void)state;
    params.num_threads = 4;
    lcv_plan *plan = test_conv_plan(context, &params, "cpu", NULL);
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    n.plan = plan;
    n.workspace = malloc(info.workspace_bytes);
    n.workspace_bytes = info.workspace_bytes;
    test_conv_make(&n.inner, &params, &plain, 1);
    test_conv_make(&outer, &params, &plain, 1);
    n.inner.args.exec.parallel_for = call_again; /* no threads for the inner one either */
    n.inner.args.exec.user = &n;
    outer.args.exec.parallel_for = call_again;
    outer.args.exec.user = &n;
    assert_int_equal(lcv_conv_forward(plan, &outer.args), LCV_OK);
    assert_true(n.calls > 0);
    assert_int_equal(n.without, LCV_BUSY);
    assert_int_equal(n.with, LCV_OK);
    const int y = test_tensor_row_of("y");
    for (int64_t i = 0; i < test_array_count(&outer.arrays[y]); i++)
        assert_memory_equal(test_array_element(&outer.arrays[y], i),
                            test_array_element(&n.inner.arrays[y], i), sizeof(float));
    n.calls = 1;
    assert_int_equal(lcv_conv_forward(plan, &outer.args), LCV_OK); /* and it is free again */
    free(n.workspace);
    test_conv_free(&n.inner);
    test_conv_free(&outer);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

/* ---- The host's threads ---- */

typedef struct {
    lcv_task_fn task;
    void *arg;
    int64_t count;
    _Atomic int64_t next;
} pool_work;

static void *pool_thread(void *arg)
{
    pool_work *w = arg;
    for (int64_t i = atomic_fetch_add(&w->next, 1); i < w->count; i = atomic_fetch_add(&w->next, 1))
        w->task(w->arg, i);
    return NULL;
}

static _Atomic int64_t pool_calls;

static void on_pthreads(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    pool_work w = {.task = task, .arg = arg, .count = count};
    pthread_t threads[4];
    int started = 0;
    (void)user;
    atomic_fetch_add(&pool_calls, 1);
    while (started < 4 && pthread_create(&threads[started], NULL, pool_thread, &w) == 0)
        started++;
    pool_thread(&w);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static void backwards(void *user, int64_t count, lcv_task_fn task, void *arg)
{
    (void)user;
    for (int64_t i = count - 1; i >= 0; i--)
        task(arg, i);
}

static lcv_conv_params hard_params(int form)
{
    lcv_conv_params params = test_conv_params(6, 4, 150, 40);
    params.filter_form = (lcv_filter_form)form;
    params.filter_groups = form == LCV_FILTER_GROUPED ? 2 : 0;
    params.activation = LCV_ACTIVATION_SILU;
    return params;
}

static void run_with(lcv_context *context, const test_target *target, lcv_conv_params params, int32_t threads,
                     lcv_parallel_for_fn parallel_for, test_conv *c)
{
    params.num_threads = threads;
    lcv_plan *plan = test_conv_plan(context, &params, target->backend, target->engine);
    test_conv_make(c, &params, &plain, 1);
    c->args.exec.parallel_for = c->grads.exec.parallel_for = parallel_for;
    test_conv_run(plan, c);
    lcv_plan_destroy(&plan);
}

static void same_bits_on_any_threads(void **state)
{
    static const struct {
        int32_t threads;
        lcv_parallel_for_fn parallel_for; /* NULL: the library's */
    } rows[] = {{2, NULL},        {3, NULL},        {8, NULL},     {1, on_pthreads},
                {2, on_pthreads}, {8, on_pthreads}, {8, backwards}};
    test_target targets[TEST_MAX_TARGETS];
    lcv_context *context = open_threads(1);
    const int count = test_targets(context, targets);
    (void)state;
    atomic_store(&pool_calls, 0);
    for (int t = 0; t < count; t++)
        for (int form = LCV_FILTER_PER_CHANNEL; form <= LCV_FILTER_PER_SAMPLE; form++) {
            test_conv serial, c;
            run_with(context, &targets[t], hard_params(form), 1, NULL, &serial);
            for (size_t i = 0; i < COUNT_OF(rows); i++) {
                if (rows[i].parallel_for == NULL && !may_use_openmp)
                    continue;
                run_with(context, &targets[t], hard_params(form), rows[i].threads, rows[i].parallel_for, &c);
                if (!test_conv_same(&c, &serial))
                    fail_msg("%s %s, form %d: row %zu has other bits than one thread", targets[t].backend,
                             targets[t].engine, form, i);
                test_conv_free(&c);
            }
            test_conv_free(&serial);
        }
    assert_true(atomic_load(&pool_calls) > 0);
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_of_many_threads),           cmocka_unit_test(one_plan_with_own_workspaces),
        cmocka_unit_test(one_plan_with_its_own_workspace), cmocka_unit_test(a_call_within_a_call),
        cmocka_unit_test(same_bits_on_any_threads),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
