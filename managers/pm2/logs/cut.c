#include "managers/pm2/logs/cut.h"

#include "managers/pm2/logs/cuts.h"
#include "managers/pm2/logs/pack.h"
#include "managers/pm2/logs/writers.h"
#include "node/base/invariant.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROOF_BYTES 4096 /* of the head, compared before the cut */
#define FILLING_BEGIN "[understudy"
#define FILLING_MIN 16
#define LINE_BYTES_MAX (1 << 20)

struct work {
    const struct cut *cut;
    int log;
    struct stat info;   /* of the log, when it was opened */
    int64_t block;      /* the file system cuts multiples of it */
    int64_t from;       /* the log's own lines begin here: behind an older filling */
    int64_t to;         /* end of the last line that goes */
    int64_t collapse;   /* whole blocks that go, at most `to` */
    bool blank_filling; /* lines of JSON bear no other text between them */
    char proof[PROOF_BYTES];
    size_t proof_length;
};

/* ---- filling ---- */

size_t cut_filling(const char *head, size_t length)
{
    const char *newline = memchr(head, '\n', length);
    if (newline == NULL || newline - head + 1 < FILLING_MIN) {
        return 0;
    }
    size_t text = (size_t)(newline - head);
    bool told = strncmp(head, FILLING_BEGIN, strlen(FILLING_BEGIN)) == 0 && newline[-1] == ']';
    bool blank = newline[-1] == '\t' && strspn(head, " ") == text - 1;
    return told || blank ? text + 1 : 0;
}

static void make_filling(const struct work *self, const char *rotated, char *ret, size_t length)
{
    invariant(ret != NULL && length >= FILLING_MIN);
    memset(ret, ' ', length);
    ret[length - 1] = '\n';
    if (self->blank_filling) {
        ret[length - 2] = '\t';
        return;
    }
    char text[CUT_NAME_SIZE + 64];
    int wanted = snprintf(text, sizeof text, FILLING_BEGIN ": earlier lines are in %s", rotated);
    size_t size = (size_t)wanted;
    if (wanted < 0 || size > length - 2) {
        size = strlen(FILLING_BEGIN); /* there is no room for more */
    }
    memcpy(ret, text, size);
    ret[length - 2] = ']';
}

/* ---- reading ---- */

/* As much as there is, at most `size`; -1: failed. */
static ssize_t read_at(int fd, char *ret, size_t size, int64_t offset)
{
    size_t got = 0;
    while (got < size) {
        ssize_t more = pread(fd, ret + got, size - got, offset + (int64_t)got);
        if (more < 0 && errno == EINTR) {
            continue;
        }
        if (more < 0) {
            return -1;
        }
        if (more == 0) {
            break;
        }
        got += (size_t)more;
    }
    return (ssize_t)got;
}

static int open_log(struct work *self, struct err *err)
{
    const struct cut *cut = self->cut;
    self->log =
        openat(cut->folder, cut->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (self->log < 0 || fstat(self->log, &self->info) != 0) {
        return err_set_errno(err, errno == ELOOP ? ERR_DENIED : ERR_IO, "cannot open it");
    }
    if (!S_ISREG(self->info.st_mode) || self->info.st_uid != cut->owner ||
        self->info.st_nlink != 1) {
        return err_set(err, ERR_DENIED, "not one file of the PM2 home's owner");
    }
    if (flock(self->log, LOCK_EX | LOCK_NB) != 0) {
        return err_set(err, ERR_BUSY, "another program rotates it");
    }
    struct statvfs system;
    if (fstatvfs(self->log, &system) != 0) {
        return err_set_errno(err, ERR_IO, "its file system");
    }
    self->block = (int64_t)system.f_frsize;
    return self->block < FILLING_MIN || self->block > CUT_FILLING_MAX
               ? err_set(err, ERR_UNSUPPORTED, "blocks of %lld bytes", (long long)self->block)
               : 0;
}

static int read_head(struct work *self, struct err *err)
{
    char *head = malloc(CUT_FILLING_MAX);
    if (head == NULL) {
        return err_set(err, ERR_NOMEM, "no memory");
    }
    ssize_t got = read_at(self->log, head, CUT_FILLING_MAX, 0);
    if (got >= 0) {
        self->from = (int64_t)cut_filling(head, (size_t)got);
        const char *first = head + self->from;
        self->blank_filling = self->from < got && (*first == '{' || *first == '[');
        self->proof_length = (size_t)got < PROOF_BYTES ? (size_t)got : PROOF_BYTES;
        memcpy(self->proof, head, self->proof_length);
    }
    free(head);
    return got < 0 ? err_set_errno(err, ERR_IO, "cannot read it") : 0;
}

/* The end of the last line that ends at `end` or before; 0: there is none. A line of more than
 * LINE_BYTES_MAX is cut in two. */
static int64_t last_line_end(const struct work *self, int64_t end)
{
    char bytes[4096];
    int64_t first = end;
    while (end > self->from) {
        if (first - end > LINE_BYTES_MAX) {
            return first;
        }
        int64_t begin = end - (int64_t)sizeof bytes;
        begin = begin < self->from ? self->from : begin;
        ssize_t got = read_at(self->log, bytes, (size_t)(end - begin), begin);
        const char *newline = got > 0 ? memrchr(bytes, '\n', (size_t)got) : NULL;
        if (newline != NULL) {
            return begin + (newline - bytes) + 1;
        }
        end = got < 0 ? 0 : begin;
    }
    return 0;
}

/* What goes: whole lines. The kernel takes whole blocks and leaves at least a byte; the filling
 * has room for its shortest text, or there is none. */
static int choose_range(struct work *self, struct err *err)
{
    int64_t end = self->info.st_size;
    invariant(self->block > 0);
    if (end - self->from > CUT_BYTES_MAX) {
        end = self->from + CUT_BYTES_MAX;
    }
    self->to = last_line_end(self, end);
    int64_t most = self->to < self->info.st_size ? self->to : self->info.st_size - 1;
    self->collapse = most / self->block * self->block;
    int64_t filling = self->to - self->collapse;
    if (filling > 0 && filling < FILLING_MIN) {
        self->collapse -= self->block;
    }
    return self->to <= self->from || self->collapse < 0
               ? err_set(err, ERR_NOTFOUND, "no whole line in it")
               : 0;
}

/* ---- the rotated file ---- */

/* The file system must be able to cut; tried on the new file, which is as good for it. */
static int try_collapse(const struct work *self, int part, struct err *err)
{
    if (ftruncate(part, 2 * self->block) != 0) {
        return err_set_errno(err, ERR_IO, "cannot write the rotated file");
    }
    if (fallocate(part, FALLOC_FL_COLLAPSE_RANGE, 0, self->block) != 0) {
        return err_set_errno(err, errno == EOPNOTSUPP || errno == EINVAL ? ERR_UNSUPPORTED : ERR_IO,
                             "its file system cannot cut a file's head off");
    }
    return ftruncate(part, 0) != 0 ? err_set_errno(err, ERR_IO, "the rotated file") : 0;
}

static int check(const struct work *self, struct err *err)
{
    struct stat now;
    struct stat named;
    if (!atomic_load(self->cut->may)) {
        return err_set(err, ERR_CLOSED, "rotation was stopped");
    }
    if (fstat(self->log, &now) != 0 ||
        fstatat(self->cut->folder, self->cut->name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != now.st_ino || named.st_dev != now.st_dev ||
        now.st_size < self->info.st_size) {
        return err_set(err, ERR_STALE, "somebody else rotated or emptied it meanwhile");
    }
    return 0;
}

static int copy_lines(const struct work *self, struct pack *pack, struct err *err)
{
    char *bytes = malloc(PACK_BYTES);
    int rc = bytes == NULL ? err_set(err, ERR_NOMEM, "no memory") : 0;
    int64_t at = self->from;
    while (rc == 0 && at < self->to) {
        int64_t left = self->to - at;
        size_t wanted = left < PACK_BYTES ? (size_t)left : PACK_BYTES;
        ssize_t got = read_at(self->log, bytes, wanted, at);
        if (got < (ssize_t)wanted) {
            rc = got < 0 ? err_set_errno(err, ERR_IO, "cannot read it")
                         : err_set(err, ERR_STALE, "somebody else emptied it meanwhile");
            break;
        }
        rc = pack_write(pack, bytes, (size_t)got, err);
        at += got;
        if (rc == 0) {
            rc = check(self, err);
        }
    }
    free(bytes);
    return rc;
}

static int fill_part(const struct work *self, int part, struct err *err)
{
    struct pack *pack = NULL;
    int rc = try_collapse(self, part, err);
    if (rc == 0) {
        /* As the log: who may read that reads this. Its group may be not for us to give. */
        (void)!fchown(part, self->info.st_uid, self->info.st_gid);
        (void)!fchmod(part, self->info.st_mode & 0666);
        rc = pack_create(part, self->cut->compress, &pack, err);
    }
    if (rc == 0) {
        rc = copy_lines(self, pack, err);
    }
    if (rc == 0) {
        rc = pack_finish(pack, err);
    }
    pack_destroy(&pack);
    if (rc == 0 && fsync(part) != 0) {
        rc = err_set_errno(err, ERR_IO, "the rotated file");
    }
    return rc;
}

static int make_rotated(const struct work *self, const char *rotated, struct err *err)
{
    char name[CUT_NAME_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s.part", rotated);
    int folder = self->cut->folder;
    int part = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (part < 0) {
        return err_set_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO,
                             "cannot write beside it");
    }
    (void)flock(part, LOCK_EX | LOCK_NB); /* it is ours alone; who sweeps leaves it */
    int rc = fill_part(self, part, err);
    if (rc == 0 && renameat2(folder, name, folder, rotated, RENAME_NOREPLACE) != 0) {
        rc = err_set_errno(err, ERR_IO, "cannot name the rotated file");
    }
    if (rc != 0) {
        (void)unlinkat(folder, name, 0);
    }
    (void)close(part);
    return rc;
}

/* ---- the cut ---- */

static bool head_is_the_same(const struct work *self)
{
    char head[PROOF_BYTES];
    return read_at(self->log, head, self->proof_length, 0) == (ssize_t)self->proof_length &&
           memcmp(head, self->proof, self->proof_length) == 0;
}

/* A line that stands in both files is the worst that comes of a failure here. */
static int64_t write_filling(const struct work *self, const char *filling, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t more = pwrite(self->log, filling + done, length - done, (off_t)done);
        if (more < 0 && errno == EINTR) {
            continue;
        }
        if (more <= 0) {
            return 0;
        }
        done += (size_t)more;
    }
    return (int64_t)length;
}

static int collapse(const struct work *self, struct err *err)
{
    int rc = check(self, err);
    if (rc == 0 && !head_is_the_same(self)) {
        rc = err_set(err, ERR_STALE, "somebody else rotated or emptied it meanwhile");
    }
    if (rc == 0 && self->collapse > 0 &&
        fallocate(self->log, FALLOC_FL_COLLAPSE_RANGE, 0, self->collapse) != 0) {
        rc = err_set_errno(err, errno == ENOSPC ? ERR_FULL : ERR_IO, "cannot cut its head off");
    }
    return rc;
}

/* The copy is durable and named: who is killed between two steps leaves lines that stand twice,
 * and none that is lost. */
static int cut_head(const struct work *self, struct cut_result *ret, char *filling, size_t length,
                    struct err *err)
{
    int rc = collapse(self, err);
    if (rc == 0 && length > 0) {
        make_filling(self, ret->rotated, filling, length);
        ret->filling_bytes = write_filling(self, filling, length);
    }
    return rc;
}

/* For those who follow the log: where its lines are now, and the last that are gone. */
static int cut_followed(const struct work *self, struct cut_result *ret, char *filling,
                        size_t length, struct err *err)
{
    struct cuts *cuts = self->cut->cuts;
    int64_t lines = self->to - self->from;
    size_t kept = lines < CUTS_TAIL_BYTES ? (size_t)lines : CUTS_TAIL_BYTES;
    char *last = malloc(kept + 1);
    if (last == NULL) {
        return err_set(err, ERR_NOMEM, "no memory");
    }
    cuts_lock(cuts);
    bool followed = cuts_followed(cuts, &self->info);
    ssize_t got =
        followed ? read_at(self->log, last, kept, self->to - (int64_t)kept) : (ssize_t)kept;
    int rc = got < (ssize_t)kept ? err_set(err, ERR_IO, "cannot read it")
                                 : cut_head(self, ret, filling, length, err);
    if (rc == 0 && followed) {
        const struct cuts_cut cut = {.to = self->to,
                                     .collapse = self->collapse,
                                     .filling = ret->filling_bytes,
                                     .last = last,
                                     .length = kept};
        cuts_note(cuts, &self->info, &cut);
    }
    cuts_unlock(cuts);
    free(last);
    return rc;
}

static int take_away(const struct work *self, struct cut_result *ret, struct err *err)
{
    size_t length = (size_t)(self->to - self->collapse);
    char *filling = malloc(length + 1);
    int rc = filling == NULL           ? err_set(err, ERR_NOMEM, "no memory")
             : self->cut->cuts == NULL ? cut_head(self, ret, filling, length, err)
                                       : cut_followed(self, ret, filling, length, err);
    free(filling);
    if (rc != 0) {
        (void)unlinkat(self->cut->folder, ret->rotated, 0);
    }
    return rc;
}

static int cut_open_log(struct work *self, struct cut_result *ret, struct err *err)
{
    const struct cut *cut = self->cut;
    struct cut_result result = {0};
    int rc = read_head(self, err);
    if (rc == 0) {
        rc = choose_range(self, err);
    }
    if (rc == 0 && !writers_append(&self->info, cut->writers, cut->writer_count)) {
        rc = err_set(err, ERR_UNSAFE, "a process writes to it without O_APPEND");
    }
    (void)snprintf(result.rotated, sizeof result.rotated, "%.*s%s", CUT_NAME_SIZE - 1, cut->to,
                   cut->compress ? ".gz" : "");
    if (rc == 0) {
        rc = make_rotated(self, result.rotated, err);
    }
    if (rc == 0) {
        (void)fsync(cut->folder); /* the name must not be lost when the lines are gone here */
        rc = take_away(self, &result, err);
    }
    if (rc == 0) {
        struct stat now = {0};
        (void)fstat(self->log, &now);
        result.cut_bytes = self->to - self->from;
        result.left_bytes = now.st_size;
        *ret = result;
    }
    return rc;
}

int cut_log(const struct cut *cut, struct cut_result *ret, struct err *err)
{
    struct work *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory");
    }
    self->cut = cut;
    int rc = open_log(self, err);
    if (rc == 0) {
        rc = cut_open_log(self, ret, err);
    }
    if (self->log >= 0) {
        (void)close(self->log);
    }
    free(self);
    return rc;
}
