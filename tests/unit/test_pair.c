/* SPDX-License-Identifier: BSD-3-Clause */
/* The exponential of two numbers at once, beside that of the C library in long double. */
#include "pair.h"
#include "test.h"

#include <math.h>

/* Distance in units of the last place of the true value. */
static double units_off(double x)
{
    const lcvi_pair pair = lcvi_pair_exp((lcvi_pair){x, 2.0 * x});
    const long double truth[2] = {expl((long double)x), expl(2.0L * (long double)x)};
    double worst = 0.0;
    for (int i = 0; i < 2; i++) {
        const double near = (double)truth[i];
        if (near < 1e-300) /* it may be 0 below the normal numbers */
            continue;
        const double unit = nextafter(near, HUGE_VAL) - near;
        worst = fmax(worst, fabs((double)((long double)pair[i] - truth[i])) / unit);
    }
    return worst;
}

static void within_two_units(void **state)
{
    double worst = 0.0;
    (void)state;
    for (int i = 0; i <= 200000; i++)
        worst = fmax(worst, units_off(-0.00172 * i));
    for (double x = -1.0; x < -1e-300; x *= 0.37)
        worst = fmax(worst, units_off(x));
    if (!(worst <= 1.5))
        fail_msg("%.3g units in the last place", worst);
}

static void ends(void **state)
{
    (void)state;
    const lcvi_pair none = lcvi_pair_exp((lcvi_pair){0.0, -0.0});
    const lcvi_pair all = lcvi_pair_exp((lcvi_pair){-HUGE_VAL, -1e300});
    const lcvi_pair odd = lcvi_pair_exp((lcvi_pair){(double)NAN, -1.0});
    assert_true(none[0] == 1.0 && none[1] == 1.0);
    assert_true(all[0] == 0.0 && all[1] == 0.0);
    assert_true(isnan(odd[0]) && fabs(odd[1] - exp(-1.0)) <= 1e-16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(within_two_units), cmocka_unit_test(ends)};
    return cmocka_run_group_tests_name("pair", tests, NULL, NULL);
}
