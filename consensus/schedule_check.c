#include "consensus/schedule_parts.h"

#include <string.h>

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

int schedule_interpret(const struct scheduler_config *config, const struct schedule_definition *is,
                       struct calendar *ret, struct calendar_rules *ret_rules,
                       const struct zone **ret_zone, struct err *err)
{
    struct err why = {0};
    if (!ends(is->expression, sizeof(is->expression)) || !ends(is->zone, sizeof(is->zone))) {
        return err_set(err, ERR_INVALID, "cron, zone: texts of at most %d and %d characters",
                       CALENDAR_TEXT_MAX, ZONE_NAME_SIZE - 1);
    }
    if (calendar_parse(is->expression, ret, &why) != 0) {
        return err_set(err, ERR_INVALID, "cron: %s", why.msg);
    }
    *ret_zone = config->zone(config->context, is->zone);
    if (*ret_zone == NULL) {
        return err_set(err, ERR_INVALID,
                       "zone: \"%s\" is not known here; use a name of the IANA database such as "
                       "Europe/Madrid or UTC, and install the package tzdata",
                       is->zone);
    }
    *ret_rules = (struct calendar_rules){is->gap, is->fold, is->anchor_s};
    return 0;
}

/* Enumerations as they may come from outside. */
static int check_policies(const struct schedule_definition *is, struct err *err)
{
    if ((unsigned)is->gap > CALENDAR_GAP_SKIP) {
        return err_set(err, ERR_INVALID, "gap: expected next or skip");
    }
    if ((unsigned)is->fold > CALENDAR_FOLD_BOTH) {
        return err_set(err, ERR_INVALID, "fold: expected first, second or both");
    }
    if ((unsigned)is->overlap > SCHEDULE_OVERLAP_REPLACE) {
        return err_set(err, ERR_INVALID, "overlap: expected forbid, allow or replace");
    }
    if ((unsigned)is->misfire > SCHEDULE_MISFIRE_SKIP) {
        return err_set(err, ERR_INVALID, "misfire: expected run_once, run_all or skip");
    }
    return 0;
}

static int check_durations(const struct schedule_definition *is, struct err *err)
{
    const struct {
        const char *name;
        int64_t value_s;
    } durations[] = {
        {"misfire_window", is->misfire_window_s},
        {"start_deadline", is->start_deadline_s},
        {"progress_deadline", is->progress_deadline_s},
        {"finish_deadline", is->finish_deadline_s},
        {"min_runtime", is->min_runtime_s},
        {"backoff", is->backoff_s},
        {"backoff_max", is->backoff_max_s},
    };
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        if (durations[i].value_s < 0 || durations[i].value_s > SCHEDULE_SECONDS_MAX) {
            return err_set(err, ERR_INVALID, "%s: expected a duration from 0s to 366d",
                           durations[i].name);
        }
    }
    if (is->anchor_s < ZONE_INSTANT_MIN || is->anchor_s > ZONE_INSTANT_MAX) {
        return err_set(err, ERR_INVALID, "anchor: expected an instant from 1900 to 2500");
    }
    return 0;
}

/* What is in bounds alone, but makes no sense together. */
static int check_together(const struct schedule_definition *is, struct err *err)
{
    if (is->misfire_cap < 1 || is->misfire_cap > SCHEDULE_MISFIRE_CAP_MAX) {
        return err_set(err, ERR_INVALID,
                       "misfire_cap: expected 1 to %d; to run nothing late use misfire: skip",
                       SCHEDULE_MISFIRE_CAP_MAX);
    }
    if (is->misfire == SCHEDULE_MISFIRE_RUN_ALL && is->misfire_window_s <= schedule_limit_s(is)) {
        return err_set(err, ERR_INVALID,
                       "misfire_window: with run_all it must be longer than start_deadline, as no "
                       "younger slot is late; or use misfire: skip");
    }
    if (is->retries > SCHEDULE_RETRIES_MAX) {
        return err_set(err, ERR_INVALID, "retries: expected 0 to %d", SCHEDULE_RETRIES_MAX);
    }
    if (is->backoff_max_s < is->backoff_s) {
        return err_set(err, ERR_INVALID, "backoff_max: expected at least the backoff of %lld s",
                       (long long)is->backoff_s);
    }
    if (is->finish_deadline_s > 0 && is->min_runtime_s > is->finish_deadline_s) {
        return err_set(err, ERR_INVALID,
                       "min_runtime: expected less than finish_deadline, or no run ends well");
    }
    return 0;
}

int schedule_check(const struct scheduler_config *config, const struct schedule_definition *is,
                   struct err *err)
{
    struct calendar calendar;
    struct calendar_rules rules;
    const struct zone *zone = NULL;
    int64_t slot_s;
    int rc = check_policies(is, err);
    rc = rc == 0 ? check_durations(is, err) : rc;
    rc = rc == 0 ? check_together(is, err) : rc;
    rc = rc == 0 ? schedule_interpret(config, is, &calendar, &rules, &zone, err) : rc;
    if (rc == 0 && !calendar_next(&calendar, &rules, zone, 0, &slot_s)) {
        return err_set(err, ERR_INVALID,
                       "cron: \"%s\" names no day that comes, such as 30 February; choose others",
                       is->expression);
    }
    return rc;
}
