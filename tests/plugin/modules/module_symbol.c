/* SPDX-License-Identifier: BSD-3-Clause */
/* A shared object that is no module: the symbol is missing. */
#include <longconv/common.h>

LCV_API int32_t some_other_symbol(void);

int32_t some_other_symbol(void)
{
    return 1;
}
