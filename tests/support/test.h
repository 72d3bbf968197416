/* SPDX-License-Identifier: BSD-3-Clause */
/* test.h: cmocka with the headers it wants first, and the library. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <longconv/longconv.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#if defined(__SANITIZE_ADDRESS__)
#define TEST_WITH_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define TEST_WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_WITH_ASAN 1
#elif __has_feature(thread_sanitizer)
#define TEST_WITH_TSAN 1
#endif
#endif
#ifndef TEST_WITH_ASAN
#define TEST_WITH_ASAN 0
#endif
#ifndef TEST_WITH_TSAN
#define TEST_WITH_TSAN 0
#endif

#endif
