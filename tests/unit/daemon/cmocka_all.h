/* cmocka wants these before its own header. */
#ifndef UNDERSTUDY_TESTS_UNIT_DAEMON_CMOCKA_ALL_H
#define UNDERSTUDY_TESTS_UNIT_DAEMON_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
