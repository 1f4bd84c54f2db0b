#include "managers/pm2/logs/rotators.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool rotators_is_module(const char *name)
{
    return strstr(name, "logrotate") != NULL; /* pm2-logrotate and its kin */
}

static bool folder_has_module(const char *path, bool scopes)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;
    bool found = false;
    while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
        found = rotators_is_module(entry->d_name);
        if (!found && scopes && entry->d_name[0] == '@') {
            char below[PATH_MAX];
            (void)snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
            found = folder_has_module(below, false);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return found;
}

bool rotators_in_home(const char *home)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/modules", home);
    return folder_has_module(path, true);
}

/* ---- logrotate's configuration ---- */

struct scan {
    const char *at;
    const char *end;
    bool inside; /* between { and } */
    rotators_path_fn *found;
    void *context;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line, without quotes; its length, or -1 at the end of the line. */
static ssize_t next_word(const char **at, const char *end, char ret[PATH_MAX])
{
    const char *from = *at;
    while (from < end && is_blank(*from)) {
        from++;
    }
    if (from == end || *from == '#') {
        return -1;
    }
    char quote = '\0';
    if (*from == '"' || *from == '\'') {
        quote = *from++;
    }
    size_t length = 0;
    while (from < end && (quote != '\0' ? *from != quote : !is_blank(*from))) {
        if (quote == '\0' && (*from == '{' || *from == '}') && length > 0) {
            break;
        }
        if (length < PATH_MAX - 1) {
            ret[length++] = *from;
        }
        from++;
        if (quote == '\0' && (ret[0] == '{' || ret[0] == '}')) {
            break;
        }
    }
    ret[length] = '\0';
    *at = quote != '\0' && from < end ? from + 1 : from;
    return (ssize_t)length;
}

/* Inside, a line that begins with } is the end; a script there may hold any word. */
static void scan_line(struct scan *self, const char *from, const char *end)
{
    char word[PATH_MAX];
    bool first = true;
    while (next_word(&from, end, word) >= 0) {
        if (self->inside) {
            self->inside = !(first && word[0] == '}');
            if (self->inside && strcmp(word, "}") == 0 && from == end) {
                self->inside = false; /* all on one line */
            }
        } else if (word[0] == '{') {
            self->inside = true;
        } else if (word[0] == '/') {
            self->found(self->context, word);
        }
        first = false;
    }
}

void logrotate_scan(const char *text, size_t length, rotators_path_fn *found, void *context)
{
    struct scan scan = {.at = text, .end = text + length, .found = found, .context = context};
    while (scan.at < scan.end) {
        const char *line = memchr(scan.at, '\n', (size_t)(scan.end - scan.at));
        const char *end = line != NULL ? line : scan.end;
        scan_line(&scan, scan.at, end);
        scan.at = end + 1;
    }
}

/* ---- all of them ---- */

struct named {
    char *pattern;
    char *config;
};

struct rotators {
    size_t count;
    struct named named[ROTATORS_PATTERNS_MAX];
    const char *reading; /* the file whose patterns come */
};

static void keep_pattern(void *context, const char *pattern)
{
    struct rotators *self = context;
    if (self->count == ROTATORS_PATTERNS_MAX) {
        return;
    }
    struct named named = {.pattern = strdup(pattern), .config = strdup(self->reading)};
    if (named.pattern == NULL || named.config == NULL) {
        free(named.pattern);
        free(named.config);
        return;
    }
    self->named[self->count++] = named;
}

static void read_config(struct rotators *self, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = fd >= 0 ? malloc(ROTATORS_CONFIG_BYTES_MAX) : NULL;
    ssize_t length = text != NULL ? read(fd, text, ROTATORS_CONFIG_BYTES_MAX) : 0;
    self->reading = path;
    if (length > 0) {
        logrotate_scan(text, (size_t)length, keep_pattern, self);
    }
    free(text);
    if (fd >= 0) {
        (void)close(fd);
    }
}

struct rotators *rotators_load(const char *folder, const char *single)
{
    struct rotators *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    read_config(self, single);
    DIR *open_folder = opendir(folder);
    const struct dirent *entry = NULL;
    while (open_folder != NULL && (entry = readdir(open_folder)) != NULL) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.') {
            read_config(self, path);
        }
    }
    if (open_folder != NULL) {
        (void)closedir(open_folder);
    }
    self->reading = NULL;
    return self;
}

void rotators_destroy(struct rotators **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    for (size_t i = 0; i < (*self_p)->count; i++) {
        free((*self_p)->named[i].pattern);
        free((*self_p)->named[i].config);
    }
    free(*self_p);
    *self_p = NULL;
}

const char *rotators_of(const struct rotators *self, const char *path)
{
    for (size_t i = 0; self != NULL && i < self->count; i++) {
        if (fnmatch(self->named[i].pattern, path, FNM_PATHNAME) == 0) {
            return self->named[i].config;
        }
    }
    return NULL;
}
