// SPDX-License-Identifier: BSD-3-Clause
// simt.cpp: the scheduler of simt.h.
#include "simt.h"

#include <longconv/half.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#ifdef SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

float __half2float(__half v)
{
    return lcv_f16_to_f32(v.bits);
}

__half __float2half_rn(float f)
{
    return {lcv_f32_to_f16(f)};
}

extern "C" __attribute__((weak)) int simt_submit(void *, void (*run)(void *), void (*drop)(void *),
                                                 void *closure)
{
    run(closure);
    drop(closure);
    return 0;
}

namespace simt
{
namespace
{

constexpr size_t STACK_BYTES = 128 << 10;
constexpr size_t SHARED_FOR_ALL = 48 << 10;
constexpr unsigned WARP = 32;
constexpr size_t SLOT_BYTES = 16;

[[noreturn]] void fail(const char *why)
{
    std::fprintf(stderr, "simt: %s\n", why);
    std::abort();
}

struct Fibre {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    void *fake_stack = nullptr;
    bool fresh = true;
};

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Thread {
    State state = READY;
    Fibre *fibre = nullptr;
    long barriers = 0;
    unsigned warp_steps = 0, votes = 0;
    unsigned char slot[2][SLOT_BYTES]; // what the others of the warp may read, by the parity of the step
};

// The block that is running.
struct Block {
    const std::function<void()> *body = nullptr;
    std::vector<Thread> threads;
    std::vector<unsigned> order;
    size_t position = 0; // in order
    char *shared = nullptr;
    bool vote[3]; // of this one, the one before, which may not have been read by all, and the next
};

Block block;
ucontext_t home;
void *home_fake_stack = nullptr;
const void *home_stack = nullptr;
size_t home_stack_bytes = 0;
std::vector<std::unique_ptr<Fibre>> fibres;
std::vector<Fibre *> idle;
std::mutex running;

Order wanted_order = SHUFFLED;
std::mt19937 shuffle(1);
long dropped_barrier = 0, most_barriers = 0;

std::map<const void *, size_t> &allowances()
{
    static std::map<const void *, size_t> all;
    return all;
}

Thread &current()
{
    return block.threads[block.order[block.position]];
}

void leave(void **fake_stack, const void *stack, size_t bytes)
{
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#else
    (void)fake_stack, (void)stack, (void)bytes;
#endif
}

void arrive(void *fake_stack, const void **stack, size_t *bytes)
{
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
#else
    (void)fake_stack, (void)stack, (void)bytes;
#endif
}

void go_home(Fibre *from)
{
    leave(&from->fake_stack, home_stack, home_stack_bytes);
    swapcontext(&from->context, &home);
    arrive(from->fake_stack, &home_stack, &home_stack_bytes);
}

// A fibre runs one thread after the other until one waits; threads without barriers cost no switch.
void run_threads()
{
    arrive(nullptr, &home_stack, &home_stack_bytes);
    for (;;) {
        Fibre *self = current().fibre;
        threadIdx.x = block.order[block.position];
        (*block.body)();
        current().state = DONE;
        current().fibre = nullptr;
        const size_t next = block.position + 1;
        if (next < block.order.size() && block.threads[block.order[next]].state == READY &&
            block.threads[block.order[next]].fibre == nullptr) {
            block.position = next;
            current().fibre = self;
            continue;
        }
        idle.push_back(self);
        go_home(self);
    }
}

Fibre *take_fibre()
{
    if (idle.empty()) {
        fibres.emplace_back(new Fibre);
        idle.push_back(fibres.back().get());
    }
    Fibre *fibre = idle.back();
    idle.pop_back();
    return fibre;
}

void enter(Fibre *fibre)
{
    if (fibre->fresh) {
        getcontext(&fibre->context);
        fibre->context.uc_stack.ss_sp = fibre->stack.get();
        fibre->context.uc_stack.ss_size = STACK_BYTES;
        fibre->context.uc_link = nullptr;
        makecontext(&fibre->context, run_threads, 0);
        fibre->fresh = false;
    }
    leave(&home_fake_stack, fibre->stack.get(), STACK_BYTES);
    swapcontext(&home, &fibre->context);
    arrive(home_fake_stack, nullptr, nullptr);
}

void run_ready_threads()
{
    for (block.position = 0; block.position < block.order.size(); block.position++) {
        Thread &thread = current();
        if (thread.state != READY)
            continue;
        if (thread.fibre == nullptr)
            thread.fibre = take_fibre();
        threadIdx.x = block.order[block.position];
        enter(thread.fibre);
    }
}

// Opens the barrier of every warp that stands at it as a whole. Was there one?
bool release_warps()
{
    bool any = false;
    for (size_t first = 0; first < block.threads.size(); first += WARP) {
        const size_t last = std::min(first + WARP, block.threads.size());
        size_t waiting = 0;
        for (size_t i = first; i < last; i++)
            waiting += block.threads[i].state == AT_WARP_BARRIER;
        if (waiting == 0)
            continue;
        if (waiting != last - first)
            fail("a part of a warp waits for threads that went another way");
        for (size_t i = first; i < last; i++)
            block.threads[i].state = READY;
        any = true;
    }
    return any;
}

// Opens the barrier of the block. False when all threads are done.
bool release_block()
{
    size_t done = 0;
    for (Thread &thread : block.threads) {
        done += thread.state == DONE;
        if (thread.state == AT_BLOCK_BARRIER)
            thread.state = READY;
    }
    if (done != 0 && done != block.threads.size())
        fail("some threads ended while others wait at a barrier");
    return done == 0;
}

void put_in_order(unsigned count)
{
    block.order.resize(count);
    for (unsigned i = 0; i < count; i++)
        block.order[i] = wanted_order == DESCENDING ? count - 1 - i : i;
}

void run_block(unsigned threads, size_t shared_bytes)
{
    std::unique_ptr<char[]> memory(new char[shared_bytes]);
    std::memset(memory.get(), 0xff, shared_bytes); // floats and doubles: NaN
    block.shared = memory.get();
    block.threads.assign(threads, Thread());
    block.vote[0] = block.vote[1] = block.vote[2] = false;
    put_in_order(threads);
    do {
        do {
            if (wanted_order == SHUFFLED)
                std::shuffle(block.order.begin(), block.order.end(), shuffle);
            run_ready_threads();
        } while (release_warps());
    } while (release_block());
    for (const Thread &thread : block.threads)
        most_barriers = std::max(most_barriers, thread.barriers);
}

void run_grid(dim3 grid, dim3 threads, size_t shared_bytes, const std::function<void()> &body)
{
    const std::lock_guard<std::mutex> lock(running);
    gridDim = grid;
    blockDim = threads;
    threadIdx = dim3(0, 0, 0);
    block.body = &body;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                run_block(threads.x, shared_bytes);
            }
}

struct Launch {
    dim3 grid, threads;
    size_t shared_bytes;
    std::function<void()> body;
};

void run_launch(void *closure)
{
    const Launch &launch = *static_cast<Launch *>(closure);
    run_grid(launch.grid, launch.threads, launch.shared_bytes, launch.body);
}

void drop_launch(void *closure)
{
    delete static_cast<Launch *>(closure);
}

void check_launch(const void *kernel, dim3 grid, dim3 threads, size_t shared_bytes)
{
    if (threads.y != 1 || threads.z != 1)
        fail("blocks have one axis here");
    if (threads.x == 0 || threads.x > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
        grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        fail("a launch outside the limits of the device");
    const auto allowed = allowances().find(kernel);
    if (shared_bytes > (allowed == allowances().end() ? SHARED_FOR_ALL : allowed->second))
        fail("a launch with more shared memory than was allowed");
}

} // namespace

void set_order(Order order, unsigned seed)
{
    wanted_order = order;
    shuffle.seed(seed);
}

long drop_barrier(long n)
{
    const long most = most_barriers;
    dropped_barrier = n;
    most_barriers = 0;
    return most;
}

int allow_shared(const void *kernel, size_t bytes)
{
    size_t &allowed = allowances()[kernel];
    allowed = std::max(bytes, SHARED_FOR_ALL);
    return 0;
}

int launch(const void *kernel, dim3 grid, dim3 threads, size_t shared_bytes, void *stream,
           std::function<void()> body)
{
    check_launch(kernel, grid, threads, shared_bytes);
    return simt_submit(stream, run_launch, drop_launch,
                       new Launch{grid, threads, shared_bytes, std::move(body)});
}

void *shared()
{
    return block.shared;
}

void block_barrier()
{
    Thread &thread = current();
    if (++thread.barriers == dropped_barrier)
        return;
    thread.state = AT_BLOCK_BARRIER;
    go_home(thread.fibre);
}

bool block_vote(bool mine)
{
    const unsigned now = current().votes++ % 3;
    block.vote[now] = block.vote[now] || mine;
    block.vote[(now + 1) % 3] = false;
    block_barrier();
    return block.vote[now];
}

unsigned lane()
{
    return threadIdx.x % WARP;
}

// Two steps never meet in one slot: a thread writes step n + 2 only after all of its warp have passed n + 1.
void *warp_exchange(const void *value, size_t bytes, unsigned from)
{
    const unsigned self = threadIdx.x, source = self - self % WARP + from;
    Thread &thread = current();
    const unsigned parity = thread.warp_steps++ & 1u;
    if (bytes > SLOT_BYTES)
        fail("a warp exchanges at most 16 bytes a thread");
    std::memcpy(thread.slot[parity], value, bytes);
    thread.state = AT_WARP_BARRIER;
    go_home(thread.fibre);
    return block.threads[source < block.threads.size() ? source : self].slot[parity];
}

} // namespace simt
