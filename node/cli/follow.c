/* `pm2 logs --follow`: each node is asked again and again for what is new since its last answer.
 *
 * What was read lies here, in the cursors that the nodes give (managers/pm2/verbs/cursor.h), so a
 * change of leader, a restart or a lost connection loses nothing: the next answer goes on. A node
 * that does not answer is asked less and less often, the others meanwhile as before. */
#include "node/cli/cli.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/limits.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_MS 500
#define PAUSE_MAX_MS 10000
#define BUSY_LINES 100 /* in one answer: rotation could take away what was not asked for soon */
#define BUSY_PAUSE_MS 50
#define REFUSED_MS 30000 /* it may be of a later version then */
#define MEMBERS_MS 5000
#define CALL_MS 2000 /* doubled after a failure, at most CALL_MAX_MS */
#define CALL_MAX_MS 8000
#define CURSORS_MAX 32 /* that one answer can have */

struct place {
    char node[NAME_SIZE];
    bool listed;       /* by the latest list of members */
    bool answered;     /* once */
    bool refused;      /* it cannot follow */
    bool told;         /* that it does not answer */
    unsigned failures; /* in a row */
    int64_t next_ms;
    json_t *cursors; /* by path */
    json_t *texts;   /* why a file is not read, by path, as told */
};

struct follower {
    const struct cli_options *options;
    const struct verb *verb;
    const json_t *args;
    struct understudy *client; /* NULL: the connection is lost */
    unsigned failures;         /* to connect, in a row */
    json_t *envelope;          /* of the last answer; NULL: none came */
    int64_t begun_ms;
    int64_t members_ms; /* when they are asked for again */
    bool found;         /* a file */
    bool waits;         /* told that there is none */
    struct place places[NODES_MAX];
    size_t count;
    struct understudy_error error; /* of the last call */
};

/* ---- showing ---- */

static void show_row(const struct follower *self, json_t *row_take)
{
    json_t *data = self->options->json ? row_take : json_pack("[o]", row_take);
    json_t *envelope = self->envelope == NULL ? local_envelope(self->verb, json_null())
                                              : json_copy(self->envelope);
    (void)json_object_set_new(envelope, "data", data);
    cli_print(self->options, self->verb, envelope);
    json_decref(envelope);
}

static void show_node(const struct follower *self, const char *node, const char *status,
                      const char *text)
{
    show_row(self, json_pack("{ss so ss so}", "kind", "node", "node", doc_text(node), "status",
                             status, "text", doc_text(text)));
}

/* What happened to a file, or why it is not read; each reason once. */
static void show_file(const struct follower *self, struct place *place, const json_t *row)
{
    const char *path = doc_get_text(row, "path", "");
    const char *text = doc_get_text(row, "text", "");
    const char *note = doc_get_text(row, "note", "");
    bool is_new = strcmp(text, doc_get_text(place->texts, path, "")) != 0;
    (void)json_object_set_new(place->texts, path, json_string(text));
    if (note[0] == '\0' && (!is_new || text[0] == '\0')) {
        return;
    }
    json_t *copy = json_copy(doc_writable(row));
    (void)json_object_set_new(copy, "text", doc_text(note[0] != '\0' ? note : text));
    (void)json_object_del(copy, "cursor");
    (void)json_object_del(copy, "more");
    (void)json_object_del(copy, "note");
    show_row(self, copy);
}

/* ---- what came ---- */

/* Files that the answer does not name keep theirs, they may come back. */
static void keep_cursor(struct place *place, const json_t *row)
{
    const char *path = doc_get_text(row, "path", NULL);
    const char *cursor = doc_get_text(row, "cursor", NULL);
    if (path != NULL && cursor != NULL) {
        (void)json_object_set_new(place->cursors, path, json_string(cursor));
    }
}

static bool names_path(const json_t *rows, const char *path)
{
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(rows), index, row)
    {
        if (strcmp(doc_get_text(row, "path", ""), path) == 0) {
            return true;
        }
    }
    return false;
}

static void drop_old(json_t *by_path, const json_t *rows)
{
    const char *path;
    json_t *value;
    void *next;
    json_object_foreach_safe(by_path, next, path, value)
    {
        if (json_object_size(by_path) > CURSORS_MAX && !names_path(rows, path)) {
            (void)json_object_del(by_path, path);
        }
    }
}

/* Returns when to ask again; *ret_old: it does not know what it was asked. */
static int64_t take_rows(struct follower *self, struct place *place, const json_t *rows,
                         bool *ret_old)
{
    bool more = false;
    size_t lines = 0;
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(rows), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), "file") != 0) {
            show_row(self, json_incref(row));
            lines++;
            continue;
        }
        *ret_old = *ret_old ||
                   (json_object_get(row, "path") != NULL && json_object_get(row, "cursor") == NULL);
        self->found = self->found || json_object_get(row, "path") != NULL;
        more = more || doc_get_bool(row, "more", false);
        keep_cursor(place, row);
        show_file(self, place, row);
    }
    drop_old(place->cursors, rows);
    drop_old(place->texts, rows);
    return more ? 0 : (lines >= BUSY_LINES ? BUSY_PAUSE_MS : PAUSE_MS);
}

static void refuse(struct follower *self, struct place *place, const char *text)
{
    if (!place->refused) {
        show_node(self, place->node, "cannot follow", text);
    }
    place->refused = true;
    place->next_ms = clock_boot_ms() + REFUSED_MS;
}

static void take_answer(struct follower *self, struct place *place, const char *text)
{
    json_t *envelope = json_loads(text, 0, NULL);
    bool old = false;
    json_decref(self->envelope);
    self->envelope = json_incref(envelope);
    if (place->told) {
        show_node(self, place->node, "answers", "it answers again");
    }
    int64_t pause_ms = take_rows(self, place, json_object_get(envelope, "data"), &old);
    place->next_ms = clock_boot_ms() + pause_ms;
    place->told = false;
    place->failures = 0;
    place->answered = true;
    if (old) {
        refuse(self, place, "it is of a version that tells its last lines only");
    } else {
        place->refused = false;
    }
    json_decref(envelope);
}

/* ---- asking ---- */

static json_t *args_for(const struct follower *self, const struct place *place)
{
    json_t *args = json_copy(doc_writable(self->args));
    json_t *cursors = json_array();
    const char *path;
    json_t *cursor;
    int64_t since_ms = verb_duration_ms(doc_get_text(self->args, "since", "0ms"));
    json_object_foreach(place->cursors, path, cursor)
    {
        if (json_array_size(cursors) < CURSORS_MAX) {
            (void)json_array_append(cursors, cursor);
        }
    }
    if (json_array_size(cursors) > 0) {
        (void)json_object_set(args, "cursor", cursors);
    }
    json_decref(cursors);
    since_ms += clock_boot_ms() - self->begun_ms;
    (void)json_object_set_new(args, "since", json_integer(since_ms));
    (void)json_object_set_new(args, "node", json_string(place->node));
    return args;
}

/* Cancelled by a signal, or the connection is lost: the round ends. */
static bool is_over(struct follower *self)
{
    if (strcmp(self->error.code, "no_node") == 0 && self->client != NULL) {
        cli_interruptible(NULL);
        understudy_destroy(&self->client);
        show_node(self, doc_get_text(self->envelope, "node", "-"), "connection lost",
                  "trying again");
    }
    return self->client == NULL || cli_interrupted();
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void take_failure(struct follower *self, struct place *place)
{
    const char *code = self->error.code;
    if (strcmp(code, "invalid") == 0 || strcmp(code, "not_in_this_version") == 0) {
        refuse(self, place, self->error.message);
        return;
    }
    unsigned failures = place->failures++;
    int64_t pause_ms = min_of((int64_t)PAUSE_MS << (failures < 5 ? failures : 5), PAUSE_MAX_MS);
    bool unreachable = strcmp(code, "unreachable") == 0; /* cheap to ask, and it may come back */
    place->next_ms = clock_boot_ms() + (unreachable ? PAUSE_MS : pause_ms);
    /* A busy node misses one answer now and then. */
    if (!place->told && (unreachable || failures > 0)) {
        place->told = true;
        show_node(self, place->node, code, self->error.message);
    }
}

static void ask_place(struct follower *self, struct place *place)
{
    json_t *args = args_for(self, place);
    char *text = json_dumps(args, JSON_COMPACT);
    char *document = NULL;
    int64_t wait_ms =
        min_of((int64_t)CALL_MS << (place->failures < 2 ? place->failures : 2), CALL_MAX_MS);
    self->error = (struct understudy_error){0};
    (void)understudy_call(self->client, self->verb->words, text,
                          min_of(wait_ms, self->options->timeout_ms), &document, &self->error);
    if (document != NULL) {
        take_answer(self, place, document);
    } else if (!is_over(self)) {
        take_failure(self, place);
    }
    free(document);
    free(text);
    json_decref(args);
}

/* ---- whom ---- */

static void add_place(struct follower *self, const char *node)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->places[i].node, node) == 0) {
            self->places[i].listed = true;
            return;
        }
    }
    if (self->count < NODES_MAX && strlen(node) < NAME_SIZE) {
        struct place *place = &self->places[self->count++];
        *place = (struct place){.listed = true, .cursors = json_object(), .texts = json_object()};
        (void)snprintf(place->node, sizeof place->node, "%s", node);
    }
}

static void end_place(struct place *place)
{
    json_decref(place->cursors);
    json_decref(place->texts);
}

static void take_members(struct follower *self, const char *text)
{
    json_t *envelope = json_loads(text, 0, NULL);
    size_t index;
    json_t *row;
    for (size_t i = 0; i < self->count; i++) {
        self->places[i].listed = false;
    }
    json_array_foreach(json_object_get(envelope, "data"), index, row)
    {
        add_place(self, doc_get_text(row, "name", ""));
    }
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->places[i].listed) {
            self->places[kept++] = self->places[i];
        } else {
            end_place(&self->places[i]);
        }
    }
    self->count = kept;
    json_decref(envelope);
}

static void ask_members(struct follower *self)
{
    char *document = NULL;
    self->members_ms = clock_boot_ms() + MEMBERS_MS;
    self->error = (struct understudy_error){0};
    (void)understudy_call(self->client, "members", NULL,
                          min_of(CALL_MAX_MS, self->options->timeout_ms), &document, &self->error);
    if (document != NULL) {
        take_members(self, document);
        free(document);
    } else {
        (void)is_over(self);
    }
}

/* ---- all ---- */

static bool reconnect(struct follower *self)
{
    int64_t wait_ms = self->options->timeout_ms;
    struct cli_options options = *self->options;
    options.timeout_ms = min_of(wait_ms, CALL_MS);
    self->error = (struct understudy_error){0};
    if (cli_connect(&options, &self->client, &self->error) != UNDERSTUDY_DONE) {
        self->client = NULL;
        self->failures++;
        return false;
    }
    cli_interruptible(self->client);
    self->failures = 0;
    self->members_ms = 0;
    return true;
}

static void ask_all(struct follower *self)
{
    if (self->client == NULL && !reconnect(self)) {
        return;
    }
    if (doc_get_text(self->args, "node", NULL) == NULL && clock_boot_ms() >= self->members_ms) {
        ask_members(self);
    }
    for (size_t i = 0; i < self->count && self->client != NULL && !cli_interrupted(); i++) {
        if (clock_boot_ms() >= self->places[i].next_ms) {
            ask_place(self, &self->places[i]);
        }
    }
}

static int64_t pause_of(const struct follower *self)
{
    int64_t now_ms = clock_boot_ms();
    int64_t until_ms = now_ms + PAUSE_MS;
    if (self->client == NULL) {
        return min_of((int64_t)PAUSE_MS << (self->failures < 3 ? self->failures : 3), 4000);
    }
    for (size_t i = 0; i < self->count; i++) {
        until_ms = min_of(until_ms, self->places[i].next_ms);
    }
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* False: nobody reads any more what is printed. A signal ends it early. */
static bool pause_follower(int64_t ms)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    return fflush(stdout) == 0 && ferror(stdout) == 0 && poll(&out, 1, (int)ms) <= 0;
}

static bool nobody_can(const struct follower *self)
{
    bool any = false;
    for (size_t i = 0; i < self->count; i++) {
        any = any || !self->places[i].refused;
    }
    return self->count > 0 && !any;
}

static bool all_answered(const struct follower *self)
{
    bool all = self->count > 0;
    for (size_t i = 0; i < self->count; i++) {
        all = all && (self->places[i].answered || self->places[i].told);
    }
    return all;
}

static int follow_until_end(struct follower *self)
{
    do {
        ask_all(self);
        if (nobody_can(self)) {
            return UNDERSTUDY_USAGE; /* each has said why */
        }
        if (!self->found && !self->waits && all_answered(self)) {
            self->waits = true;
            show_row(self, json_pack("{ss ss}", "kind", "file", "text",
                                     "no PM2 that answers has a process of that name: it is waited "
                                     "for"));
        }
    } while (!cli_interrupted() && pause_follower(pause_of(self)));
    return UNDERSTUDY_DONE;
}

/* With --node the node must be one of the cluster. */
static int check_node(struct follower *self, const char *node)
{
    if (node == NULL) {
        ask_members(self);
        return self->count > 0 || cli_interrupted() ? UNDERSTUDY_DONE : self->error.exit;
    }
    add_place(self, node);
    ask_place(self, &self->places[0]);
    return strcmp(self->error.code, "not_found") == 0 ? self->error.exit : UNDERSTUDY_DONE;
}

int follow_logs(const struct cli_options *options, const struct verb *verb, const json_t *args)
{
    struct follower *self = calloc(1, sizeof *self);
    struct understudy_error error = {.exit = UNDERSTUDY_FAILED, .message = "out of memory"};
    if (self == NULL) {
        return cli_fail(options, &error);
    }
    *self = (struct follower){
        .options = options, .verb = verb, .args = args, .begun_ms = clock_boot_ms()};
    int exit = cli_connect(options, &self->client, &self->error);
    if (exit == UNDERSTUDY_DONE) {
        cli_interruptible(self->client);
        exit = check_node(self, doc_get_text(args, "node", NULL));
    }
    if (exit == UNDERSTUDY_DONE) {
        exit = follow_until_end(self);
    } else {
        (void)cli_fail(options, &self->error);
    }
    cli_interruptible(NULL);
    understudy_destroy(&self->client);
    json_decref(self->envelope);
    for (size_t i = 0; i < self->count; i++) {
        end_place(&self->places[i]);
    }
    free(self);
    return exit;
}
