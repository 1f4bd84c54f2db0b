/* A PM2 home: its daemon, the list of its processes, and the requests that change them. */
#include "managers/pm2/lists/lists.h"
#include "managers/pm2/lists/restore.h"
#include "managers/pm2/pm2.h"
#include "managers/pm2/revive/revive.h"

#include "node/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- when a list is asked for ---- */

static void on_list_due(void *context)
{
    struct home *home = context;
    home->list_timer = 0;
    home_ask(home, clock_boot_ms());
}

static void cancel_list_timer(struct home *home)
{
    if (home->list_timer > 0) {
        runtime_timer_cancel(home->pm2->runtime, home->list_timer);
        home->list_timer = 0;
    }
}

/* A take-over is a chain of lists and requests: none of them waits for the tick. */
static void set_list_timer(struct home *home)
{
    if (home->list_timer > 0 && home->list_timer_ms <= home->next_list_ms) {
        return;
    }
    cancel_list_timer(home);
    int64_t delay_ms = home->next_list_ms - clock_boot_ms();
    int id =
        runtime_timer(home->pm2->runtime, delay_ms < 0 ? 0 : delay_ms, false, on_list_due, home);
    home->list_timer = id < 0 ? 0 : id; /* without memory for it, the tick is soon enough */
    home->list_timer_ms = home->next_list_ms;
}

void home_list_soon(struct home *home, int64_t delay_ms)
{
    int64_t at_ms = clock_boot_ms() + delay_ms;
    if (at_ms < home->next_list_ms) {
        home->next_list_ms = at_ms;
        set_list_timer(home);
    }
}

static void on_list(void *context, int rc, const json_t *result, const char *why)
{
    struct home *home = context;
    struct pm2 *self = home->pm2;
    int64_t now_ms = clock_boot_ms();
    struct err err = {0};
    home->pending = false;
    if (home->god == NULL) {
        return; /* this home is being closed */
    }
    if (rc == 0) {
        rc = entries_read(result, &home->entries, &err);
        why = err.msg;
    }
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "no list of %s: %s", god_home(home->god), why);
        return;
    }
    bool first = !home->fresh;
    home->fresh = true;
    home->answered = home->asked;
    if (home->entries.left_out > 0 && first) {
        runtime_log(MANAGER_WARN, "%zu rows of %s were left out", home->entries.left_out,
                    god_home(home->god));
    }
    pm2_take_list(self, home, result, now_ms);
    if (home->next_list_ms <= clock_boot_ms()) {
        set_list_timer(home); /* wanted while this one was under way */
    }
    self->observe_now = self->observe_now || first;
}

static bool is_settling(const struct pm2 *self, const struct home *home)
{
    return primaries_settling(self, home) || mend_is_settling(self, home) ||
           (home == self->homes && carry_is_settling(self));
}

void home_ask(struct home *home, int64_t now_ms)
{
    if (home->pending || now_ms < home->next_list_ms || god_state(home->god) != GOD_UP) {
        return;
    }
    struct request request = {.method = REQUEST_LIST};
    int64_t pause_ms = home->pm2->settings->poll_ms;
    if (is_settling(home->pm2, home)) {
        pause_ms = PM2_SETTLING_LIST_MS;
    } else if (detect_doubts(home, now_ms) && pause_ms > PM2_DOUBT_LIST_MS) {
        pause_ms = PM2_DOUBT_LIST_MS;
    }
    home->next_list_ms = now_ms + pause_ms;
    home->asked++;
    home->pending = god_call(home->god, &request, on_list, home, NULL) == 0;
}

/* ---- requests that change something ---- */

struct write {
    struct home *home;
    god_reply_fn *reply;
    void *context;
};

static void on_written(void *context, int rc, const json_t *result, const char *why)
{
    struct write write = *(struct write *)context;
    free(context);
    write.home->writes--;
    write.home->list_needed = write.home->asked + 1;
    home_list_soon(write.home, 0);
    write.reply(write.context, rc, result, why);
}

int home_write(struct home *home, const struct request *request, god_reply_fn *reply, void *context,
               struct err *err)
{
    struct write *write = malloc(sizeof *write);
    if (write == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a request to PM2");
    }
    *write = (struct write){.home = home, .reply = reply, .context = context};
    mend_note_write(home->pm2, home, request);
    int rc = god_call(home->god, request, on_written, write, err);
    if (rc != 0) {
        free(write);
        return rc;
    }
    home->writes++;
    return 0;
}

bool home_is_settled(const struct home *home)
{
    return god_state(home->god) == GOD_UP && home->fresh && home->writes == 0 &&
           home->answered >= home->list_needed;
}

/* ---- its daemon ---- */

static void on_god_state(void *context, struct god *god, enum god_state state, const char *why)
{
    struct home *home = context;
    struct pm2 *self = home->pm2;
    self->observe_now = true;
    home->state_since_ms = clock_boot_ms();
    if (state == GOD_UP) {
        revive_ask_facts(home);
        runtime_event(self->runtime, MANAGER_INFO, "pm2.up", NULL, "PM2 of %s answers",
                      god_home(god));
        home->next_list_ms = 0;
        return;
    }
    home->fresh = false;
    home->pending = false;
    if (state == GOD_DEAD || state == GOD_HUNG) {
        primaries_daemon_lost(self, home);
        mend_daemon_lost(self, home);
    }
    runtime_event(self->runtime, MANAGER_ERROR, "pm2.down", NULL, "PM2 of %s is %s: %s",
                  god_home(god), god_state_name(state), why);
}

static void on_god_event(void *context, struct god *god, const struct frame_event *event)
{
    (void)god;
    struct home *home = context;
    detect_event(home, event);
    if (event->event != NULL) {
        if (strcmp(event->event, "stop") == 0) { /* PM2's command line tells it, a crash does not */
            mend_stopped_by_hand(home->pm2, home, event->name);
        }
        home_list_soon(home, 20); /* events come in groups */
    }
}

static void on_god_log(void *context, struct god *god, const struct amp_parser *frame)
{
    (void)god;
    struct home *home = context;
    logs_take(home->pm2->logs, frame, clock_boot_ms());
}

static const struct god_callbacks god_callbacks = {
    .state = on_god_state, .event = on_god_event, .log = on_god_log};

void home_step(struct home *home, int64_t now_ms)
{
    bool up = god_state(home->god) == GOD_UP && home->fresh;
    home_ask(home, now_ms);
    lists_step(home->lists, god_state(home->god) == GOD_ABSENT, now_ms);
    lists_say(home->lists, &home->pm2->findings, up && !restore_is_busy(home), now_ms);
    restore_step(home, now_ms);
    revive_step(home, now_ms);
}

int home_open(struct home *self, struct pm2 *pm2, const char *path, struct err *err)
{
    *self = (struct home){.pm2 = pm2, .state_since_ms = clock_boot_ms()};
    int rc = lists_open(pm2->runtime, pm2->configure.data_dir, path, &self->lists, err);
    rc = rc != 0 ? rc : god_create(pm2->runtime, path, &god_callbacks, self, &self->god, err);
    if (rc != 0) {
        lists_close(&self->lists);
    }
    return rc;
}

void home_close(struct home *self)
{
    god_destroy(&self->god); /* answers what is under way, which may want a list */
    restore_drop(self);
    revive_drop(self);
    cancel_list_timer(self);
    lists_close(&self->lists);
    detect_deinit(self);
}
