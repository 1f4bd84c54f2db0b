#include "managers/pm2/revive/plan.h"

static enum plan_verdict after(int64_t have_ms, int64_t need_ms)
{
    return have_ms >= need_ms ? PLAN_REVIVE : PLAN_WAIT;
}

static enum plan_verdict judge_absent(const struct plan_sight *sight, const char **ret_why)
{
    if (sight->may_begin && !sight->known) {
        *ret_why = "no PM2 daemon yet";
        return after(sight->for_ms, PLAN_DEAD_MS);
    }
    if (sight->another_boot && sight->had_list) {
        *ret_why = "PM2 daemon not started since the boot";
        return after(sight->up_ms, PLAN_BOOT_GRACE_MS);
    }
    return PLAN_NOTHING;
}

enum plan_verdict plan_judge(const struct plan_sight *sight, const char **ret_why)
{
    *ret_why = "";
    if (!sight->allowed || sight->foreground || (sight->tidied && sight->known)) {
        return PLAN_NOTHING;
    }
    switch (sight->state) {
    case GOD_ABSENT:
        return judge_absent(sight, ret_why);
    case GOD_DEAD:
        *ret_why = "PM2 daemon dead";
        if (!sight->known) {
            return PLAN_NOTHING; /* sockets of long ago */
        }
        return sight->another_boot ? after(sight->up_ms, PLAN_BOOT_GRACE_MS)
                                   : after(sight->for_ms, PLAN_DEAD_MS);
    case GOD_HUNG:
        *ret_why = "PM2 daemon does not answer";
        return sight->known ? after(sight->for_ms, PLAN_HUNG_MS) : PLAN_NOTHING;
    case GOD_UNKNOWN:
    case GOD_UP:
        break;
    }
    return PLAN_NOTHING;
}
