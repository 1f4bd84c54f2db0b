/* What runs at times: that each schedule of managers.run and each backup in mode cron says what
 * runs and when, in words that the calendar understands, so that no slot is found to be unreadable
 * at night. */
#include "consensus/calendar.h"
#include "managers/common/protocol_run.h"
#include "node/base/clock.h"
#include "node/config/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIST "managers.run.schedules"
#define SCHEDULES_MAX 512          /* as managers/run takes */
#define GUARD_KILL_TIMEOUT_MS 1600 /* of the guard of a run */
#define ZONES "/usr/share/zoneinfo"

/* The place of one of an element's keys, or of the element when nobody set that key. */
static void place_of(const struct load *self, const char *list, const json_t *item, size_t index,
                     const char *word, char ret[CONFIG_KEY_SIZE])
{
    check_element_key(list, item, index, word, ret, CONFIG_KEY_SIZE);
    if (json_object_get(self->origins, ret) == NULL) {
        check_element_key(list, item, index, "", ret, CONFIG_KEY_SIZE);
    }
}

static void check_command(struct load *self, const json_t *item, size_t index, bool whole)
{
    char key[CONFIG_KEY_SIZE];
    const json_t *run = json_object_get(item, "run");
    const char *first = json_string_value(json_array_get(run, 0));
    bool shell = json_is_true(json_object_get(item, "shell"));
    size_t count = json_array_size(run);
    place_of(self, LIST, item, index, "run", key);
    if (count == 0 && whole) {
        load_report_key(self, CONFIG_ERROR, key,
                        "a schedule runs a command; add \"run: [program, argument, ...]\"");
    } else if (shell && count > 1) {
        load_report_key(self, CONFIG_ERROR, key,
                        "with shell the command is one text, not a list of %zu", count);
    } else if (!shell && count == 1 && strpbrk(first, " \t|&;<>$") != NULL) {
        load_report_key(self, CONFIG_ERROR, key,
                        "\"%.60s\" is one word, with signs of a shell or spaces in it; write it as "
                        "a list, [program, argument], or add \"shell: true\"",
                        first);
    }
}

static void check_times(struct load *self, const char *list, const json_t *item, size_t index,
                        bool whole)
{
    char key[CONFIG_KEY_SIZE];
    const char *cron = json_string_value(json_object_get(item, "cron"));
    const json_t *every = json_object_get(item, "every");
    const char *anchor = json_string_value(json_object_get(item, "anchor"));
    struct calendar calendar;
    struct err err = {0};
    int64_t anchor_s;
    if (cron == NULL && every == NULL && whole) {
        place_of(self, list, item, index, "", key);
        load_report_key(self, CONFIG_ERROR, key,
                        "a schedule needs a time; add \"cron: ...\" or \"every: ...\"");
    } else if (cron != NULL && every != NULL) {
        place_of(self, list, item, index, "every", key);
        load_report_key(self, CONFIG_ERROR, key, "a schedule has cron or every, not both");
    } else if (cron != NULL && calendar_parse(cron, &calendar, &err) != 0) {
        place_of(self, list, item, index, "cron", key);
        load_report_key(self, CONFIG_ERROR, key, "cron: %s", err.msg);
    } else if (every != NULL && json_integer_value(every) % 1000 != 0) {
        place_of(self, list, item, index, "every", key);
        load_report_key(self, CONFIG_ERROR, key, "every takes whole seconds");
    }
    if (anchor != NULL && !clock_instant_parse(anchor, &anchor_s)) {
        place_of(self, list, item, index, "anchor", key);
        load_report_key(self, CONFIG_ERROR, key,
                        "anchor: \"%.40s\" is no time; expected one such as 2026-01-31T12:00:00Z",
                        anchor);
    }
}

static bool is_zone_name(const char *text)
{
    static const char signs[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    return text[0] != '/' && text[0] != '\0' && strspn(text, signs) == strlen(text) &&
           strstr(text, "//") == NULL && text[strlen(text) - 1] != '/';
}

/* A zone that this host does not have: its node could not tell the schedule's slots. */
static void check_zone(struct load *self, const char *key, const char *zone)
{
    char path[256];
    (void)snprintf(path, sizeof(path), ZONES "/%.64s", zone);
    bool database = access(ZONES "/UTC", R_OK) == 0;
    if (!is_zone_name(zone)) {
        load_report_key(self, CONFIG_ERROR, key,
                        "\"%.64s\" is no name of a time zone; expected one such as Europe/Berlin",
                        zone);
    } else if (access(path, R_OK) == 0 || strcmp(zone, "UTC") == 0) {
        return;
    } else if (database) {
        load_report_key(self, CONFIG_ERROR, key,
                        "there is no time zone \"%.64s\" in " ZONES "; expected one such as "
                        "Europe/Berlin",
                        zone);
    } else {
        load_report_key(self, CONFIG_WARNING, key,
                        "this host has no time zones in " ZONES " (package tzdata); this node will "
                        "decide no slots of a schedule in %.64s",
                        zone);
    }
}

/* When it runs, in which zone, and where. */
static void check_when(struct load *self, const char *list, const json_t *item, size_t index,
                       bool whole)
{
    const char *zone = json_string_value(json_object_get(item, "zone"));
    char key[CONFIG_KEY_SIZE];
    check_times(self, list, item, index, whole);
    if (json_array_size(json_object_get(item, "on")) > MANAGER_PLACES_MAX) {
        place_of(self, list, item, index, "on", key);
        load_report_key(self, CONFIG_ERROR, key, "on names more than %d nodes", MANAGER_PLACES_MAX);
    }
    if (zone != NULL) {
        place_of(self, list, item, index, "zone", key);
        check_zone(self, key, zone);
    }
}

static void check_schedule(struct load *self, const json_t *all, size_t index, bool whole)
{
    const json_t *item = json_array_get(all, index);
    if (!check_element_name(self, LIST, all, item, index)) {
        return;
    }
    check_command(self, item, index, whole);
    check_element_on(self, LIST, item, index);
    check_when(self, LIST, item, index, whole);
}

/* ---- backups ---- */

/* Somebody set this key of the element. */
static bool is_set(const struct load *self, const char *list, const json_t *item, size_t index,
                   const char *word, char ret_key[CONFIG_KEY_SIZE])
{
    check_element_key(list, item, index, word, ret_key, CONFIG_KEY_SIZE);
    return json_object_get(self->origins, ret_key) != NULL;
}

/* What mode cron has nothing for: it would be believed to do something. */
static void refuse_standing(struct load *self, const char *list, const json_t *item, size_t index)
{
    static const struct {
        const char *word;
        const char *why;
    } words[] = {
        {"settle", "its runs come at their times, whatever its primary does"},
        {"when_unreachable", "its runs come at their times, whatever its primary does"},
        {"max_restarts", "a failed run is tried again by retries"},
        {"exp_backoff", "the pauses between attempts are backoff and backoff_max"},
        {"restart_delay", "the pauses between attempts are backoff and backoff_max"},
        {"copies", "each of its runs is carried out once"},
    };
    char key[CONFIG_KEY_SIZE];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (is_set(self, list, item, index, words[i].word, key)) {
            load_report_key(self, CONFIG_ERROR, key, "%s is not for mode cron: %s", words[i].word,
                            words[i].why);
        }
    }
}

/* What only mode cron has something for. */
static void refuse_times(struct load *self, const char *list, const json_t *item, size_t index)
{
    static const char *const words[] = {"cron",
                                        "every",
                                        "zone",
                                        "anchor",
                                        "gap",
                                        "fold",
                                        "overlap",
                                        "misfire",
                                        "misfire_cap",
                                        "critical",
                                        "start_deadline",
                                        "progress_deadline",
                                        "misfire_window",
                                        "min_runtime",
                                        "retries",
                                        "finish_deadline",
                                        "backoff",
                                        "backoff_max",
                                        "retry_unknown",
                                        "output",
                                        "keep"};
    char key[CONFIG_KEY_SIZE];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (is_set(self, list, item, index, words[i], key)) {
            load_report_key(self, CONFIG_ERROR, key,
                            "%s is for backups in mode cron; add \"mode: cron\", or leave it out",
                            words[i]);
        }
    }
}

void check_backup_times(struct load *self, const char *list, const json_t *item, size_t index,
                        bool whole)
{
    const char *mode = json_string_value(json_object_get(item, "mode"));
    if (mode != NULL && strcmp(mode, "cron") == 0) {
        check_when(self, list, item, index, whole);
        refuse_standing(self, list, item, index);
    } else if (mode != NULL) {
        refuse_times(self, list, item, index);
    }
}

/* ---- all ---- */

void check_runs(struct load *self, bool whole)
{
    const json_t *all = load_get(self->values, LIST);
    static const char *const zones[] = {"managers.run.zone", "managers.pm2.zone"};
    int64_t ttl_ms = json_integer_value(load_get(self->values, "grants.ttl"));
    size_t count = json_array_size(all);
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        const char *zone = json_string_value(load_get(self->values, zones[i]));
        if (zone != NULL) {
            check_zone(self, zones[i], zone);
        }
    }
    if (count > SCHEDULES_MAX) {
        load_report_key(self, CONFIG_ERROR, LIST, "more than %d schedules", SCHEDULES_MAX);
        return;
    }
    if (count > 0 && ttl_ms < GUARD_KILL_TIMEOUT_MS + GRANT_SLACK_MS) {
        load_report_key(
            self, CONFIG_ERROR, "grants.ttl",
            "grants.ttl (%lldms) is too short for runs, whose guard takes up to %dms to "
            "end them; raise it to %dms",
            (long long)ttl_ms, GUARD_KILL_TIMEOUT_MS, GUARD_KILL_TIMEOUT_MS + GRANT_SLACK_MS);
    }
    for (size_t i = 0; i < count; i++) {
        check_schedule(self, all, i, whole);
    }
}
