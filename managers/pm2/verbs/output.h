/* `pm2 logs`: the last lines of the log files that PM2's list names, a file at a time, so that the
 * loop goes on between them.
 *
 * With `follow` each "file" row has a cursor (cursor.h). Who gives the cursors back gets the whole
 * lines since then, and in the row `note`, what happened to the file, and `more`, that there are
 * more lines already. A file without a cursor begins with its last lines, or if it was made within
 * the last `since`, with all of them. */
#ifndef UNDERSTUDY_MANAGERS_PM2_OUTPUT_H
#define UNDERSTUDY_MANAGERS_PM2_OUTPUT_H

#include "managers/pm2/pm2.h"

#define OUTPUT_LINES_DEFAULT 15
#define OUTPUT_LINES_MAX 1000        /* of one file */
#define OUTPUT_FILES_MAX 32          /* of one answer */
#define OUTPUT_BYTES_MAX (256 << 10) /* text of one answer */
#define OUTPUT_ROWS_MAX 3000
/* An answer of one that follows: a file that is begun is read whole (FOLLOW_BYTES_MAX), so that all
 * stays below MANAGER_DOCUMENT_BYTES_MAX. */
#define OUTPUT_FOLLOW_BYTES_MAX (128 << 10)
#define OUTPUT_FOLLOW_ROWS_BYTES (170 << 10) /* of one file's rows beside their texts */

bool output_take(struct pm2 *self, const struct manager_command *command);
/* Nothing may be under way when the runtime goes. */
void output_end(struct pm2 *self);

#endif
