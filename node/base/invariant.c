#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>

void invariant_failed(const char *expr, const char *file, int line, const char *function)
{
    (void)fprintf(stderr, "invariant failed: %s (%s:%d, %s)\n", expr, file, line, function);
    (void)fflush(stderr);
    abort();
}
