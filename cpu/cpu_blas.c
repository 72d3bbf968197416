/* SPDX-License-Identifier: BSD-3-Clause */
/* The one file that names a BLAS. */
#include "cpu_blas.h"

#ifdef LCV_CPU_HAVE_OPENBLAS

#include <cblas.h>
#include <limits.h>

/* Not every cblas.h declares these. */
extern int openblas_get_num_threads(void);
extern int openblas_get_parallel(void);

bool lcv_cpu_blas_is_usable(void)
{
    return openblas_get_parallel() == 0 || openblas_get_num_threads() == 1;
}

/* A matrix as BLAS sees it: rows one after the other, or columns. */
typedef struct {
    CBLAS_TRANSPOSE form;
    int step;
} form;

static bool find_form(int64_t rows, int64_t columns, const lcv_blas_matrix *matrix, form *out)
{
    const bool by_rows = matrix->column_step == 1 && matrix->row_step >= columns;
    const int64_t step = by_rows ? matrix->row_step : matrix->column_step;
    if (!by_rows && (matrix->row_step != 1 || matrix->column_step < rows))
        return false;
    *out = (form){by_rows ? CblasNoTrans : CblasTrans, (int)step};
    return step >= 1 && step <= INT_MAX;
}

#define MULTIPLY(function, gemm, type)                                                                       \
    bool function(int64_t rows, int64_t columns, int64_t inner, const lcv_blas_matrix *left,                 \
                  const lcv_blas_matrix *right, bool add, type *to, int64_t to_step)                         \
    {                                                                                                        \
        form a, b;                                                                                           \
        if (!find_form(rows, inner, left, &a) || !find_form(inner, columns, right, &b))                      \
            return false;                                                                                    \
        gemm(CblasRowMajor, a.form, b.form, (int)rows, (int)columns, (int)inner, (type)1, left->data,        \
             a.step, right->data, b.step, add ? (type)1 : (type)0, to, (int)to_step);                        \
        return true;                                                                                         \
    }

#else

bool lcv_cpu_blas_is_usable(void)
{
    return false;
}

#define MULTIPLY(function, gemm, type)                                                                       \
    bool function(int64_t rows, int64_t columns, int64_t inner, const lcv_blas_matrix *left,                 \
                  const lcv_blas_matrix *right, bool add, type *to, int64_t to_step)                         \
    {                                                                                                        \
        (void)rows, (void)columns, (void)inner, (void)left, (void)right, (void)add, (void)to, (void)to_step; \
        return false;                                                                                        \
    }

#endif

MULTIPLY(lcv_cpu_blas_multiply_f32, cblas_sgemm, float)
MULTIPLY(lcv_cpu_blas_multiply_f64, cblas_dgemm, double)
