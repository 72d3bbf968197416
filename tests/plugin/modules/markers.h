/* SPDX-License-Identifier: BSD-3-Clause */
/* markers.h: what the operators of the modules write. */
#ifndef MODULE_MARKERS_H
#define MODULE_MARKERS_H

#define MARKER_CONV                7.0F
#define MARKER_CONV_BACKWARD       70.0F
#define MARKER_SHORT_CONV          8.0F
#define MARKER_SHORT_CONV_BACKWARD 80.0F
#define MARKER_GATE                9.0F

enum { MARKER_MOST_TAPS = 4 };

#endif
