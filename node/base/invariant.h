/* Assertions that stay in every build: a broken one is our own error, never a peer's or a user's.
 */
#ifndef UNDERSTUDY_NODE_BASE_INVARIANT_H
#define UNDERSTUDY_NODE_BASE_INVARIANT_H

/* End the process with a core dump when `expr` is false. */
#define invariant(expr) ((expr) ? (void)0 : invariant_failed(#expr, __FILE__, __LINE__, __func__))

void invariant_failed(const char *expr, const char *file, int line, const char *function)
    __attribute__((noreturn, cold));

#endif
