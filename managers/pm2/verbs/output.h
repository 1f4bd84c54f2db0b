/* `pm2 logs`: the last lines of the log files that PM2's list names, a file at a time, so that the
 * loop goes on between them. */
#ifndef UNDERSTUDY_MANAGERS_PM2_OUTPUT_H
#define UNDERSTUDY_MANAGERS_PM2_OUTPUT_H

#include "managers/pm2/pm2.h"

#define OUTPUT_LINES_DEFAULT 15
#define OUTPUT_LINES_MAX 1000        /* of one file */
#define OUTPUT_FILES_MAX 32          /* of one answer */
#define OUTPUT_BYTES_MAX (256 << 10) /* text of one answer */
#define OUTPUT_ROWS_MAX 3000

bool output_take(struct pm2 *self, const struct manager_command *command);
/* Nothing may be under way when the runtime goes. */
void output_end(struct pm2 *self);

#endif
