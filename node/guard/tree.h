/* Everything that a guard's process started, and its certain end.
 *
 * The caller is a child subreaper (prctl(2)): whoever loses its parent below it becomes its child,
 * whatever session or group it made for itself. So killing the own children, reaping them, and
 * killing those who became children by it, until there are none, ends the whole tree; and a signal
 * never meets a stranger, since an own child's pid is not used again before it is reaped.
 *
 * No memory is allocated. One thread. */
#ifndef UNDERSTUDY_NODE_GUARD_TREE_H
#define UNDERSTUDY_NODE_GUARD_TREE_H

#include <stdbool.h>
#include <sys/types.h>

/* Send signal `number` to every child of this process. Returns how many there were, -1 when /proc
 * cannot be read. */
int tree_signal(int number);

/* The two ways to find the children: the kernel's list (CONFIG_PROC_CHILDREN), or a walk over all
 * processes where it is missing. tree_signal takes the first that works. */
int tree_signal_listed(int number);
int tree_signal_walked(int number);

/* Reap what has ended, without waiting. When `watched` was among it, *ret_status (may be NULL) is
 * its wait status and true comes back. *ret_empty: no child is left. */
bool tree_reap(pid_t watched, int *ret_status, bool *ret_empty);

/* Kill and reap until nothing is left; waits as long as that takes. As tree_reap for `watched`. */
bool tree_kill(pid_t watched, int *ret_status);

#endif
