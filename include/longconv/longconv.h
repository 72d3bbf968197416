/* SPDX-License-Identifier: BSD-3-Clause */
/* longconv.h: everything a user of the library needs. The headers are the manual; read them in this order. */
#ifndef LONGCONV_LONGCONV_H
#define LONGCONV_LONGCONV_H

#include <longconv/common.h>       /* status, dtypes, layout, one execution's resources */
#include <longconv/context.h>      /* context, log, backends */
#include <longconv/tensor.h>       /* views of arrays */
#include <longconv/memory.h>       /* memory of a device, for programs that do not talk to it themselves */
#include <longconv/plan.h>         /* what all plans have in common */
#include <longconv/conv.h>         /* the long convolution, forward and backward; prepared spectra */
#include <longconv/option.h>       /* options and named arrays of filters and mixers */
#include <longconv/filter.h>       /* filter families: generators of taps, and their gradients */
#include <longconv/hippo.h>        /* the matrices that state space models start from */
#include <longconv/operator.h>     /* short convolution, gate, mixers (Hyena, H3, ...) */
#include <longconv/stream.h>       /* the long convolution one token at a time */
#include <longconv/mixer_stream.h> /* a whole mixer one token at a time */
#include <longconv/planning.h>     /* what measured planning learnt, as text */

#endif
