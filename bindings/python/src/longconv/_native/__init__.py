# SPDX-License-Identifier: BSD-3-Clause
"""The C library through ctypes: its structs, its functions, and finding the file. Nothing is loaded before it is
needed, so that a framework that is imported first brings its own OpenMP runtime, which the library then shares."""
