/* SPDX-License-Identifier: BSD-3-Clause */
/* For every test in cmocka: its header, and a case with the file's own set_up and tear_down. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/count.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
