/* Teeth: a run for each rule that fails when the rule is off and passes when it is on. */
#ifndef UNDERSTUDY_TESTS_SIM_TEETH_H
#define UNDERSTUDY_TESTS_SIM_TEETH_H

#include <stdbool.h>

/* All rules, or only `rule` (not NULL). 0 when each bites. */
int teeth_run(const char *rule, bool verbose);

#endif
