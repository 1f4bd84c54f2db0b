/* Attempts: what the leader ordered, carried out step by step as the lists come. */
#include "managers/pm2/mend/mend.h"

#include "managers/pm2/pm2.h"
#include "node/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- requests ---- */

struct call {
    struct pm2 *pm2;
    enum request_method method;
    char name[NAME_SIZE];
};

static void on_written(void *context, int rc, const json_t *result, const char *why)
{
    (void)result;
    struct call call = *(struct call *)context;
    free(context);
    /* In time or not, the list tells how it went; nothing is sent again in this attempt. */
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "%s of %s: %s", request_name(call.method), call.name, why);
        journal_write(call.pm2, "failed", call.name, why);
    }
}

static void send_request(struct pm2 *self, struct home *home, const struct mend_case *row,
                         enum request_method method)
{
    struct call *call = malloc(sizeof *call);
    struct request request = {
        .method = method, .pm_id = row->pm_id, .timeout_ms = row->patience_ms};
    struct err err = {0};
    if (call == NULL) {
        return;
    }
    *call = (struct call){.pm2 = self, .method = method};
    memcpy(call->name, row->name, sizeof call->name);
    journal_write(self, request_name(method), row->name, row->is.why);
    if (home_write(home, &request, on_written, call, &err) != 0) {
        free(call);
        runtime_log(MANAGER_WARN, "%s of %s: %s", request_name(method), row->name, err.msg);
    }
}

/* ---- an attempt ---- */

static const struct watch *watch_of(const struct pm2 *self, const char *name)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        if (strcmp(self->watches[i].name, name) == 0) {
            return &self->watches[i];
        }
    }
    return NULL;
}

static struct mend_touched *touched_of(struct mend_order *order, const struct mend_case *row)
{
    for (size_t i = 0; i < order->touched_count; i++) {
        if (order->touched[i].home == row->home && order->touched[i].pm_id == row->pm_id) {
            return &order->touched[i];
        }
    }
    return NULL;
}

static bool is_due(struct mend_order *order, const struct mend_case *row)
{
    const struct mend_touched *touched = touched_of(order, row);
    return touched == NULL ? order->touched_count < MEND_TOUCHED_MAX
                           : touched->to_start && row->is.cure == MEND_RESTART;
}

/* PM2 answers when the signal is sent, and lists the process until it has seen its end. */
static bool is_ending(struct mend_order *order, const struct mend_case *row, int64_t now_ms)
{
    const struct mend_touched *touched = touched_of(order, row);
    return touched != NULL && touched->killed_pid != 0 && touched->killed_pid == row->pid &&
           now_ms - touched->killed_ms < MEND_KILLED_MS;
}

static void treat(struct pm2 *self, struct mend_order *order, struct home *home,
                  const struct mend_case *row)
{
    struct mend_touched *touched = touched_of(order, row);
    if (touched == NULL) {
        touched = &order->touched[order->touched_count++];
        *touched = (struct mend_touched){.home = row->home, .pm_id = row->pm_id};
    }
    touched->to_start = false;
    switch (row->is.cure) {
    case MEND_RESTART:
        send_request(self, home, row, REQUEST_RESTART);
        return;
    case MEND_STOP:
        if (stops_has_room(&self->mend.stops)) {
            send_request(self, home, row, REQUEST_STOP);
            mend_remember_stopped(self, home, row);
            touched->to_start = true;
        }
        return;
    case MEND_KILL:
        send_request(self, home, row, REQUEST_KILL);
        touched->killed_pid = row->pid;
        touched->killed_ms = clock_boot_ms();
        return;
    case MEND_NOTHING:
        runtime_log(MANAGER_WARN, "%s: %s, which nothing here would mend", row->name, row->is.why);
        return;
    }
}

static void end(struct pm2 *self, struct mend_order *order, const char *why)
{
    runtime_log(MANAGER_INFO, "attempt %llu to mend %s: %s", (unsigned long long)order->attempt,
                order->name, why);
    journal_write(self, "attempt ends", order->name, why);
    order->used = false;
}

/* Of that order, in the newest list of the home: the row whose turn it is. *ret_again: one that is
 * ill although it was treated. */
static const struct mend_case *next_case(struct pm2 *self, struct mend_order *order, size_t home,
                                         bool *ret_again)
{
    *ret_again = false;
    for (size_t i = 0; i < self->mend.case_count; i++) {
        const struct mend_case *row = &self->mend.cases[i];
        if (row->home != home || row->is.trouble != MEND_ILL ||
            strcmp(row->name, order->name) != 0) {
            continue;
        }
        if (is_due(order, row)) {
            return row;
        }
        *ret_again = *ret_again || !is_ending(order, row, clock_boot_ms());
    }
    return NULL;
}

static bool is_ill_anywhere(const struct mend *self, const char *name)
{
    for (size_t i = 0; i < self->case_count; i++) {
        if (self->cases[i].is.trouble == MEND_ILL && strcmp(self->cases[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing was done yet, or somebody stopped it meanwhile. */
static bool is_to_be_left(const struct pm2 *self, const struct mend_order *order)
{
    const struct watch *watch = watch_of(self, order->name);
    const char *why;
    return order->touched_count == 0 || watch == NULL ||
           mend_trouble_of(self, watch, &why) == MEND_LEFT;
}

static void step_order(struct pm2 *self, struct mend_order *order, struct home *home)
{
    bool again = false;
    if (pm2_holds_still(self) || !mend_is_allowed(self, order->name)) {
        end(self, order, "nothing may be done now");
        return;
    }
    const struct mend_case *row = next_case(self, order, (size_t)(home - self->homes), &again);
    if (row != NULL) {
        treat(self, order, home, row);
    } else if (again) {
        end(self, order, "it did not help");
    } else if (!is_ill_anywhere(&self->mend, order->name) && is_to_be_left(self, order)) {
        end(self, order, "it is not ill any more");
    }
}

void mend_carry_out(struct pm2 *self, struct home *home)
{
    for (size_t i = 0; i < SETTINGS_PRIMARIES_MAX; i++) {
        if (self->mend.orders[i].used && home_is_settled(home)) {
            step_order(self, &self->mend.orders[i], home);
        }
    }
}

/* ---- how it went ---- */

static bool is_mended(const struct pm2 *self, const struct mend_order *order, int64_t now_ms)
{
    const struct watch *watch = watch_of(self, order->name);
    const char *why;
    return order->touched_count > 0 && watch != NULL && watch->state == DECIDE_UP &&
           now_ms - watch->since_ms >= MEND_PROOF_MS &&
           mend_trouble_of(self, watch, &why) == MEND_WELL;
}

void mend_step(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < SETTINGS_PRIMARIES_MAX; i++) {
        struct mend_order *order = &self->mend.orders[i];
        if (order->used && is_mended(self, order, now_ms)) {
            runtime_event(self->runtime, MANAGER_INFO, "primary.mended", NULL,
                          "%s runs again after attempt %llu: it was %s", order->name,
                          (unsigned long long)order->attempt, order->why);
            end(self, order, "it runs again");
        } else if (order->used && now_ms - order->given_ms >= MEND_ATTEMPT_MS) {
            end(self, order, "its time is over");
        }
    }
}

bool mend_is_settling(const struct pm2 *self, const struct home *home)
{
    size_t index = (size_t)(home - self->homes);
    for (size_t i = 0; i < SETTINGS_PRIMARIES_MAX; i++) {
        const struct mend_order *order = &self->mend.orders[i];
        const struct watch *watch = order->used ? watch_of(self, order->name) : NULL;
        if (watch != NULL && watch->home == index) {
            return true;
        }
    }
    return false;
}

/* ---- the order ---- */

static struct mend_order *order_for(struct mend *self, const char *name)
{
    struct mend_order *free_row = NULL;
    for (size_t i = 0; i < SETTINGS_PRIMARIES_MAX; i++) {
        struct mend_order *row = &self->orders[i];
        if (row->used && strcmp(row->name, name) == 0) {
            return row;
        }
        free_row = free_row == NULL && !row->used ? row : free_row;
    }
    return free_row;
}

int mend_order(struct pm2 *self, const char *name, uint64_t attempt, struct err *err)
{
    const struct watch *watch = watch_of(self, name);
    if (watch == NULL || !mend_is_allowed(self, name)) {
        return err_set(err, ERR_NOTFOUND, "no primary %.63s that may be mended here", name);
    }
    if (pm2_holds_still(self)) {
        return err_set(err, ERR_INVALID, "the manager is paused or in shadow");
    }
    struct mend_order *order = order_for(&self->mend, name);
    if (order == NULL) {
        return err_set(err, ERR_FULL, "too many attempts are under way");
    }
    if (order->used && order->attempt == attempt) {
        return 0;
    }
    const char *why;
    (void)mend_trouble_of(self, watch, &why);
    *order = (struct mend_order){.used = true, .attempt = attempt, .given_ms = clock_boot_ms()};
    memcpy(order->name, watch->name, sizeof order->name);
    (void)snprintf(order->why, sizeof order->why, "%s", why);
    for (size_t i = 0; i < self->home_count; i++) {
        home_list_soon(&self->homes[i], 0);
    }
    return 0;
}
