/* What children need between fork and exec. */
#ifndef UNDERSTUDY_NODE_BASE_EXEC_H
#define UNDERSTUDY_NODE_BASE_EXEC_H

/* Signals as a new program expects them: every one at its default, none blocked. Safe in the child
 * of a process with threads. */
void exec_reset_signals(void);

/* The same text: execve(2) and its kin take words writable, and do not change them. */
char *exec_word(const char *text);

#endif
