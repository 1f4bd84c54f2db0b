#include "managers/pm2/verbs/follow.h"

#include "managers/pm2/logs/cut.h"
#include "managers/pm2/verbs/tail.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NS_OF_S INT64_C(1000000000)
#define BORN_SLACK_NS INT64_C(100000000) /* the kernel's times of files lag a little */
#define BLOCK_BYTES 4096                 /* when the file system does not tell */

/* A file that is open while it is read. */
struct source {
    const struct follow *follow;
    struct follow_news *news;
    int fd;
    struct stat info;
    int64_t born_ns;
    const struct cuts_file *known; /* NULL: its cuts are not known */
};

static char buffer[TAIL_BYTES_MAX + 1]; /* of one call alone */
static_assert(CUT_FILLING_MAX <= TAIL_BYTES_MAX && FOLLOW_BYTES_MAX <= TAIL_BYTES_MAX,
              "the buffer holds them");

static int64_t cut_of(const struct source *self)
{
    return self->known == NULL ? 0 : self->known->bytes;
}

/* ---- the file ---- */

static int open_source(struct source *self, int folder, const char *name, struct err *err)
{
    struct statx info;
    int rc = tail_open(folder, name, self->follow->owner, &self->info, &self->fd, err);
    if (rc != 0) {
        return rc;
    }
    if (statx(self->fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) == 0 &&
        (info.stx_mask & STATX_BTIME) != 0) {
        self->born_ns = (int64_t)info.stx_btime.tv_sec * NS_OF_S + info.stx_btime.tv_nsec;
    }
    self->known = cuts_follow(self->follow->cuts, &self->info, self->follow->now_ms);
    return 0;
}

static void close_source(struct source *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

static bool is_of(const struct source *self, const struct cursor *cursor)
{
    return cursor->inode == self->info.st_ino && cursor->born_ns == self->born_ns;
}

static bool read_exactly(const struct source *self, char *ret, size_t length, int64_t offset)
{
    return pread(self->fd, ret, length, (off_t)offset) == (ssize_t)length;
}

/* ---- where it goes on ---- */

/* The cursor for `offset`, which may be below zero or in the filling: lines that were cut. */
static void set_cursor(const struct source *self, int64_t offset)
{
    char anchor[CURSOR_ANCHOR_MAX];
    struct cursor *cursor = &self->news->cursor;
    int64_t own = self->known == NULL ? 0 : self->known->filling;
    size_t length = offset <= own                ? 0
                    : offset < CURSOR_ANCHOR_MAX ? (size_t)offset
                                                 : CURSOR_ANCHOR_MAX;
    cursor->inode = self->info.st_ino;
    cursor->born_ns = self->born_ns;
    cursor->life = self->known == NULL ? 0 : self->known->life;
    cursor->cut = cut_of(self);
    cursor->position = offset + cursor->cut;
    bool good = read_exactly(self, anchor, length, offset - (int64_t)length);
    cursor->anchor_length = good ? length : 0;
    cursor->anchor = cursor_sum(anchor, cursor->anchor_length);
}

static void set_new(struct cursor *cursor)
{
    *cursor = (struct cursor){.path = cursor->path};
}

/* ---- lines ---- */

static bool is_full(const struct source *self)
{
    return json_array_size(self->news->lines) >= self->follow->lines_max;
}

static void add_cut_line(struct source *self, const char *text)
{
    char line[TAIL_LINE_MAX + sizeof FOLLOW_CUT];
    memcpy(line, text, TAIL_LINE_MAX);
    memcpy(line + TAIL_LINE_MAX, FOLLOW_CUT, sizeof FOLLOW_CUT);
    tail_add_line(self->news->lines, line, sizeof line - 1, sizeof line - 1);
}

static void add_line(struct source *self, char *text, size_t length)
{
    bool *skipping = &self->news->cursor.skipping;
    if (!*skipping && length > TAIL_LINE_MAX) {
        add_cut_line(self, text);
    } else if (!*skipping) {
        tail_add_line(self->news->lines, text, length, TAIL_LINE_MAX);
    }
    *skipping = false;
}

/* All whole lines that there is room for, and a beginning that is too long for one. Returns the
 * bytes that were used. */
static size_t add_lines(struct source *self, char *text, size_t length)
{
    size_t at = 0;
    while (at < length && !is_full(self)) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t size = end == NULL ? length - at : (size_t)(end - text) - at;
        if (end != NULL) {
            add_line(self, text + at, size);
            at += size + 1;
            continue;
        }
        if (size > TAIL_LINE_MAX || self->news->cursor.skipping) {
            add_line(self, text + at, size);
            self->news->cursor.skipping = true;
            at = length;
        }
        break;
    }
    return at;
}

/* From `offset`, in the file's own lines. */
static int read_on(struct source *self, int64_t offset, struct err *err)
{
    ssize_t got = pread(self->fd, buffer, FOLLOW_BYTES_MAX, (off_t)offset);
    if (got < 0) {
        return err_set_errno(err, ERR_IO, "cannot be read");
    }
    size_t used = add_lines(self, buffer, (size_t)got);
    set_cursor(self, offset + (int64_t)used);
    /* What was read to its end has no whole line behind that. */
    self->news->more = is_full(self) || got == FOLLOW_BYTES_MAX;
    self->news->more = self->news->more && offset + (int64_t)used < self->info.st_size;
    return 0;
}

/* Lines that were cut off and are still kept; those of the file come the next time. */
static void read_kept(struct source *self, int64_t position)
{
    const struct cuts_file *known = self->known;
    size_t left = (size_t)(known->tail_end - position);
    size_t length = left < FOLLOW_BYTES_MAX ? left : FOLLOW_BYTES_MAX;
    memcpy(buffer, known->tail + (position - known->tail_begin), length);
    size_t used = add_lines(self, buffer, length);
    /* What was cut are whole lines, unless a huge one was cut in two. */
    bool over = used == left || used == 0;
    set_cursor(self, over ? known->filling : position + (int64_t)used - known->bytes);
    self->news->more = !over || known->filling < self->info.st_size;
}

static void note(struct source *self, const char *text)
{
    (void)snprintf(self->news->note, sizeof self->news->note, "%s", text);
    self->news->cursor.skipping = false;
}

static void renew(struct source *self)
{
    self->known = cuts_renew(self->follow->cuts, &self->info, self->follow->now_ms);
}

/* The offset of its first own line: behind a filling. Another one than that of the latest cut that
 * is known: somebody else emptied, replaced or cut it. */
static int64_t first_offset(struct source *self)
{
    ssize_t got = pread(self->fd, buffer, CUT_FILLING_MAX, 0);
    int64_t filling = got > 0 ? (int64_t)cut_filling(buffer, (size_t)got) : 0;
    if (self->known != NULL && self->known->filling != filling) {
        renew(self);
    }
    return filling;
}

/* From its beginning. */
static int start_over(struct source *self, struct err *err)
{
    int64_t offset = first_offset(self);
    self->news->cursor.skipping = false;
    if (offset > 0 && self->news->note[0] == '\0') {
        note(self, "was rotated before it was read: its rotated files have the lines before these");
    }
    return read_on(self, offset, err);
}

/* ---- finding the place again ---- */

static bool anchor_is_at(const struct source *self, const struct cursor *from, int64_t offset,
                         char ret[CURSOR_ANCHOR_MAX])
{
    int64_t length = (int64_t)from->anchor_length;
    return length > 0 && offset >= length && offset <= self->info.st_size &&
           read_exactly(self, ret, from->anchor_length, offset - length) &&
           cursor_sum(ret, from->anchor_length) == from->anchor;
}

/* It says the same twice or more: such bytes may stand in several places. */
static bool repeats(const char *bytes, size_t length)
{
    for (size_t period = 1; period <= length / 2; period++) {
        if (memcmp(bytes, bytes + period, length - period) == 0) {
            return true;
        }
    }
    return false;
}

/* Behind a cut that is not known: heads go in whole blocks, and little is left. -1: not found. */
static int64_t search(const struct source *self, const struct cursor *from,
                      char anchor[CURSOR_ANCHOR_MAX])
{
    struct statvfs system;
    int64_t block = fstatvfs(self->fd, &system) == 0 && system.f_frsize >= 512
                        ? (int64_t)system.f_frsize
                        : BLOCK_BYTES;
    int64_t before = from->position - from->cut;
    int64_t offset = before > 0 ? before % block : 0;
    for (int i = 0; i < FOLLOW_SEARCH_MAX && before > 0; i++, offset += block) {
        if (offset < before && anchor_is_at(self, from, offset, anchor)) {
            return offset;
        }
    }
    return -1;
}

static int start_behind_loss(struct source *self, struct err *err)
{
    note(self, first_offset(self) > 0
                   ? "was rotated meanwhile: lines before these may be missing, its rotated files "
                     "have them"
                   : "was emptied or replaced: lines of before that were not read yet are missing");
    return start_over(self, err);
}

/* What is known of its cuts is of another life than the cursor's: its bytes must tell. */
static int find_place(struct source *self, const struct cursor *from, struct err *err)
{
    char anchor[CURSOR_ANCHOR_MAX];
    int64_t offset = from->position - from->cut;
    if (offset == 0 && from->cut == 0) {
        return start_over(self, err); /* nothing was read of it */
    }
    if (!anchor_is_at(self, from, offset, anchor)) {
        offset = search(self, from, anchor);
    }
    if (offset < 0) {
        return start_behind_loss(self, err);
    }
    if (from->life != 0 && repeats(anchor, from->anchor_length)) {
        note(self, "its reader began anew and its lines repeat: some may be missing or come twice");
    }
    return read_on(self, offset, err);
}

/* The first line that is kept whole. */
static int64_t first_kept(const struct cuts_file *known)
{
    size_t length = (size_t)(known->tail_end - known->tail_begin);
    const char *end = memchr(known->tail, '\n', length);
    return end == NULL ? known->tail_begin : known->tail_begin + (end - known->tail) + 1;
}

/* Behind cuts of which all is known. */
static int pass_cuts(struct source *self, const struct cursor *from, struct err *err)
{
    const struct cuts_file *known = self->known;
    int64_t offset = from->position - known->bytes;
    if (offset >= known->filling) {
        return offset > self->info.st_size ? start_behind_loss(self, err)
                                           : read_on(self, offset, err);
    }
    if (from->position >= known->tail_begin && from->position < known->tail_end) {
        read_kept(self, from->position);
        return 0;
    }
    if (from->position < known->tail_begin && known->tail_begin < known->tail_end) {
        note(self, "was rotated before all was read: lines before these are missing, its rotated "
                   "files have them");
        read_kept(self, first_kept(known));
        return 0;
    }
    return start_behind_loss(self, err);
}

static int resume(struct source *self, const struct cursor *from, struct err *err)
{
    char anchor[CURSOR_ANCHOR_MAX];
    const struct cuts_file *known = self->known;
    self->news->bytes = self->info.st_size;
    if (known == NULL || known->life != from->life || known->bytes < from->cut) {
        return find_place(self, from, err);
    }
    int64_t offset = from->position - from->cut;
    bool looked_at = known->bytes == from->cut && offset > known->filling;
    if (looked_at && !anchor_is_at(self, from, offset, anchor)) {
        renew(self);
        return find_place(self, from, err);
    }
    return pass_cuts(self, from, err);
}

/* ---- a file that was renamed ---- */

static bool is_base_of(const char *base, const char *name)
{
    size_t length = strlen(base);
    return strncmp(name, base, length) == 0 && name[length] != '\0';
}

static int open_folder(const char *path, const char **ret_base)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    *ret_base = slash == NULL ? path : slash + 1;
    int length = snprintf(folder, sizeof folder, "%.*s", (int)(*ret_base - path), path);
    return length > 0 && length < (int)sizeof folder
               ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
               : -1;
}

/* The log of before beside the log: it is open in *ret then. */
static bool find_renamed(const struct cursor *from, struct source *ret)
{
    const char *base;
    int folder = open_folder(ret->follow->path, &base);
    DIR *entries = folder >= 0 ? fdopendir(folder) : NULL;
    bool found = false;
    if (entries == NULL) {
        if (folder >= 0) {
            (void)close(folder);
        }
        return false;
    }
    const struct dirent *entry = readdir(entries);
    for (int i = 0; i < FOLLOW_ENTRIES_MAX && entry != NULL && !found; i++) {
        if (entry->d_ino == from->inode && is_base_of(base, entry->d_name)) {
            found = open_source(ret, folder, entry->d_name, NULL) == 0 && is_of(ret, from);
        }
        if (!found) {
            close_source(ret);
            entry = readdir(entries);
        }
    }
    (void)closedir(entries);
    return found;
}

/* A last line that never ended: nobody goes on with it. */
static void end_line(struct source *self)
{
    int64_t offset = self->news->cursor.position - self->news->cursor.cut;
    ssize_t got = offset < 0 ? 0 : pread(self->fd, buffer, FOLLOW_BYTES_MAX, (off_t)offset);
    if (got > 0 && offset + got == self->info.st_size) {
        add_line(self, buffer, (size_t)got);
    }
}

/* The path names another file than `from`, which begins when the one of before was read to its
 * end; `next` NULL: there is none yet. False: that one is not found. */
static bool finish_renamed(const struct source *next, const struct cursor *from,
                           struct follow_news *news, const struct follow *follow, int *ret_rc,
                           struct err *err)
{
    struct source old = {.follow = follow, .news = news, .fd = -1};
    if (!find_renamed(from, &old)) {
        return false;
    }
    *ret_rc = resume(&old, from, err);
    if (*ret_rc == 0 && !news->more && next != NULL && next->info.st_size > 0) {
        end_line(&old);
        set_new(&news->cursor);
        news->more = true;
    }
    close_source(&old);
    return true;
}

static int replaced(struct source *self, const struct cursor *from, struct err *err)
{
    int rc = 0;
    if (finish_renamed(self, from, self->news, self->follow, &rc, err)) {
        return rc;
    }
    note(self, "was replaced: what was written to the file before and not read yet is missing");
    return start_over(self, err);
}

/* ---- all ---- */

static int go_on_locked(struct source *self, const struct cursor *from, struct err *err)
{
    struct err gone = {0};
    int rc = open_source(self, AT_FDCWD, self->follow->path, &gone);
    if (rc == ERR_NOTFOUND && from->inode != 0 &&
        finish_renamed(NULL, from, self->news, self->follow, &rc, err)) {
        return rc;
    }
    if (rc != 0) {
        return err_set(err, rc, "%s", gone.msg);
    }
    self->news->bytes = self->info.st_size;
    if (from->inode == 0) {
        return start_over(self, err);
    }
    return is_of(self, from) ? resume(self, from, err) : replaced(self, from, err);
}

static void begin_news(struct follow_news *ret, const struct cursor *cursor)
{
    ret->cursor = *cursor;
    ret->bytes = -1;
    ret->more = false;
    ret->note[0] = '\0';
}

int follow_go_on(const struct follow *self, const struct cursor *from, struct follow_news *ret,
                 struct err *err)
{
    struct source source = {.follow = self, .news = ret, .fd = -1};
    begin_news(ret, from);
    if (!cuts_try_lock(self->cuts)) {
        return 0; /* it is being cut: the next time */
    }
    int rc = go_on_locked(&source, from, err);
    cuts_unlock(self->cuts);
    close_source(&source);
    if (rc != 0) {
        ret->cursor = *from;
    }
    return rc;
}

/* The last lines that have ended; behind them it goes on. */
static int read_last(struct source *self, size_t lines, struct err *err)
{
    (void)first_offset(self);
    int64_t size = self->info.st_size;
    int64_t from = size > TAIL_BYTES_MAX ? size - TAIL_BYTES_MAX : 0;
    ssize_t got = pread(self->fd, buffer, TAIL_BYTES_MAX, (off_t)from);
    if (got < 0) {
        return err_set_errno(err, ERR_IO, "cannot be read");
    }
    const char *newline = memrchr(buffer, '\n', (size_t)got);
    size_t whole = newline == NULL ? 0 : (size_t)(newline - buffer) + 1;
    if (newline == NULL && from > 0) {
        self->news->cursor.skipping = true;
        whole = (size_t)got;
    } else if (lines > 0) {
        tail_split(self->news->lines, buffer, whole, lines, from == 0);
    }
    set_cursor(self, from + (int64_t)whole);
    return 0;
}

static int begin_locked(struct source *self, size_t lines, int64_t since_ms, struct err *err)
{
    int rc = open_source(self, AT_FDCWD, self->follow->path, err);
    if (rc != 0) {
        return rc;
    }
    self->news->bytes = self->info.st_size;
    bool is_new = self->born_ns > 0 && since_ms < INT64_MAX / 1000000 &&
                  self->born_ns + BORN_SLACK_NS >= since_ms * 1000000;
    return is_new ? start_over(self, err) : read_last(self, lines, err);
}

int follow_begin(const struct follow *self, size_t lines, int64_t since_ms, struct follow_news *ret,
                 struct err *err)
{
    struct source source = {.follow = self, .news = ret, .fd = -1};
    const struct cursor cursor = {.path = cursor_path_sum(self->path)};
    begin_news(ret, &cursor);
    if (!cuts_try_lock(self->cuts)) {
        return err_set(err, ERR_BUSY, "is being rotated");
    }
    int rc = begin_locked(&source, lines, since_ms, err);
    cuts_unlock(self->cuts);
    close_source(&source);
    return rc;
}
