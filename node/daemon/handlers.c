/* Handlers of the control verbs that this node answers, or decides as leader. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/handlers_change.h"
#include "node/daemon/handlers_coverage.h"
#include "node/daemon/handlers_intent.h"
#include "node/daemon/handlers_pm2.h"
#include "node/daemon/handlers_record.h"
#include "node/daemon/handlers_snapshot.h"
#include "node/daemon/handlers_stream.h"
#include "node/daemon/handlers_why.h"
#include "node/daemon/handlers_work.h"
#include "node/daemon/leadership_policy.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reads ---- */

static void on_status(void *context, struct control_request *request)
{
    control_reply(request, document_status(context)); /* --watch: the endpoint asks again */
}

static void on_members(void *context, struct control_request *request)
{
    control_reply(request, document_members(context));
}

static void on_leader(void *context, struct control_request *request)
{
    control_reply(request, document_leader(context));
}

static void on_history(void *context, struct control_request *request)
{
    control_reply(request, document_history(context));
}

static void on_duties(void *context, struct control_request *request)
{
    control_reply(request, document_duties(context));
}

static void on_managers(void *context, struct control_request *request)
{
    control_reply(request, document_managers(context));
}

static void on_manager_show(void *context, struct control_request *request)
{
    const char *name = control_arg_text(request, "name");
    json_t *ret = document_manager(context, name);
    if (json_array_size(ret) == 0) {
        json_decref(ret);
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy manager list`",
                     "no node has a manager %s", name);
        return;
    }
    control_reply(request, ret);
}

static void on_health(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *node = control_arg_text(request, "node");
    int code;
    json_t *data = document_health(self, node, control_arg_flag(request, "explain"), &code);
    if (data == NULL) {
        control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy members`", "no node %s",
                     node);
    } else if (control_arg_flag(request, "local")) {
        control_reply_local(request, data, EXIT_DONE); /* it answers: that is what was asked */
    } else {
        control_reply_exit(request, data, code);
    }
}

static void on_pm2_list(void *context, struct control_request *request)
{
    (void)managers_command(context, request, "pm2");
}

/* ---- changes ---- */

static void propose_node_name(void *context, struct control_request *request,
                              enum command_type type)
{
    struct command command = {.type = type};
    (void)snprintf(command.node_name.name, sizeof command.node_name.name, "%s",
                   control_arg_text(request, "node"));
    handlers_propose(context, request, &command);
}

static void on_drain(void *context, struct control_request *request)
{
    propose_node_name(context, request, COMMAND_NODE_DRAIN);
}

static void on_undrain(void *context, struct control_request *request)
{
    propose_node_name(context, request, COMMAND_NODE_UNDRAIN);
}

static void on_remove(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *name = control_arg_text(request, "node");
    size_t voters = 0;
    bool is_voter = false;
    for (size_t i = 0; i < self->view.server_count; i++) {
        const struct consensus_server *server = &self->view.servers[i];
        voters += server->role == CONSENSUS_VOTER ? 1 : 0;
        is_voter =
            is_voter || (server->role == CONSENSUS_VOTER && server->id == node_id_of(self, name));
    }
    if (is_voter && voters == 1) {
        control_fail(request, "unsafe", EXIT_UNSAFE, "join another node first",
                     "%s is the only voter", name);
        return;
    }
    propose_node_name(context, request, COMMAND_NODE_REMOVE);
}

/* Its removal is not through: it would keep its old place, with a log that it may not have. */
static bool is_being_removed(const struct node *self, uint64_t id)
{
    const struct state_node *row = state_node_by_id(self->state, id);
    for (size_t i = 0; row != NULL && row->removed && i < self->view.server_count; i++) {
        if (self->view.servers[i].id == id) {
            return true;
        }
    }
    return false;
}

static void on_join(void *context, struct control_request *request)
{
    const char *name = control_arg_text(request, "name");
    const char *address = control_arg_text(request, "addr");
    const char *key = control_arg_text(request, "pubkey");
    if (!key_valid_name(name) || !key_valid_z85(key) || strncmp(address, "tcp://", 6) != 0 ||
        strchr(address + 6, ':') == NULL || strlen(address) >= ADDRESS_SIZE) {
        control_fail(request, "invalid", EXIT_USAGE,
                     "understudy join NAME tcp://HOST:PORT PUBKEY (40 characters of Z85, the "
                     "`public` line of NAME.key)",
                     "the name, address or public key is malformed");
        return;
    }
    struct command command = {.type = COMMAND_NODE_PUT, .reason = REASON_NODE_JOINED};
    command.node.raft_id = consensus_id_of_key(key);
    if (is_being_removed(context, command.node.raft_id)) {
        control_fail(request, "being_removed", EXIT_PRECONDITION, "try again in some seconds",
                     "%s is still being removed", name);
        return;
    }
    (void)snprintf(command.node.name, sizeof command.node.name, "%s", name);
    (void)snprintf(command.node.address, sizeof command.node.address, "%s", address);
    (void)snprintf(command.node.public_key, sizeof command.node.public_key, "%s", key);
    handlers_propose(context, request, &command);
}

static void on_manager_pause(void *context, struct control_request *request)
{
    struct command command = {.type = COMMAND_MANAGER_PAUSE};
    (void)snprintf(command.manager.manager, sizeof command.manager.manager, "%s",
                   control_arg_text(request, "name"));
    command.manager.until_wall_ms = PAUSED_UNTIL_RESUMED;
    handlers_propose(context, request, &command);
}

static void on_manager_resume(void *context, struct control_request *request)
{
    struct command command = {.type = COMMAND_MANAGER_RESUME};
    (void)snprintf(command.manager.manager, sizeof command.manager.manager, "%s",
                   control_arg_text(request, "name"));
    handlers_propose(context, request, &command);
}

static void on_manager_restart(void *context, struct control_request *request)
{
    struct node *self = context;
    struct err err = {0};
    const char *name = control_arg_text(request, "name");
    if (supervise_restart(self->supervise, name, &err) != 0) {
        control_fail_err(request, &err);
        return;
    }
    control_reply(request, json_pack("{s:s, s:s}", "manager", name, "node", node_name(self)));
}

static void set_stopped(void *context, struct control_request *request, bool stopped)
{
    struct command command = {.type = COMMAND_SETTING_PUT};
    (void)snprintf(command.setting.key, sizeof command.setting.key, "managers.stopped");
    (void)snprintf(command.setting.value, sizeof command.setting.value, "yes");
    command.setting.remove = !stopped;
    handlers_propose(context, request, &command);
}

static void on_start(void *context, struct control_request *request)
{
    struct node *self = context;
    if (state_setting(self->state, "managers.stopped") == NULL) {
        control_reply(request, json_pack("{s:s, s:b, s:n}", "target", "managers.stopped", "changed",
                                         0, "index"));
        return;
    }
    set_stopped(context, request, false);
}

static void on_stop(void *context, struct control_request *request)
{
    if (control_arg_flag(request, "emergency")) {
        control_fail(request, "not_in_this_version", EXIT_USAGE, "use `stop --force`",
                     "stop --emergency: not in this version");
        return;
    }
    set_stopped(context, request, true);
}

static void on_duty_move(void *context, struct control_request *request)
{
    struct node *self = context;
    struct handlers_pending *pending = handlers_pending(request);
    if (pending == NULL) {
        return;
    }
    struct err err = {0};
    if (duties_move(self, control_arg_text(request, "id"), control_arg_text(request, "node"),
                    control_request_who(request), handlers_decided, pending, &err) != 0) {
        handlers_refused(pending, &err);
    }
}

static void on_leave(void *context, struct control_request *request)
{
    struct node *self = context;
    control_reply_local(request, json_pack("{s:s}", "leaving", node_name(self)), EXIT_DONE);
    leaving_for_good(self);
}

/* ---- leader transfer: answered when another node leads ---- */

static void on_transfer(void *context, struct control_request *request)
{
    struct node *self = context;
    const char *name = control_arg_text(request, "node");
    uint64_t target = 0;
    if (name != NULL) {
        target = node_id_of(self, name);
        if (target == 0) {
            control_fail(request, "not_found", EXIT_NOT_FOUND, "see `understudy members`",
                         "no node %s", name);
            return;
        }
        if (target == self->id) {
            control_reply(request, json_pack("{s:s, s:b}", "leader", name, "changed", 0));
            return;
        }
    } else {
        target = leadership_policy_best(self, clock_boot_ms());
        if (target == 0) {
            control_fail(request, "precondition", EXIT_PRECONDITION, "see `understudy members`",
                         "no other voter is alive and does not drain");
            return;
        }
    }
    handlers_stream_transfer(self, request, target);
}

/* ---- facts, roles, forwarding ---- */

static void on_facts(void *context, struct control_facts *ret)
{
    struct node *self = context;
    *ret = (struct control_facts){
        .node = node_name(self),
        .cluster = self->config->cluster.name,
        .term = node_is_outside(self) ? self->told_leader_term : self->view.term,
        .term_known = true,
        .quorum = node_has_quorum(self),
        .leads = self->view.state == CONSENSUS_LEADER && self->view.ready,
        .leader_known = node_leader(self) != 0,
        .outside = node_is_outside(self),
    };
}

static bool on_role_of(void *context, const char *user_id, const char *public_key,
                       struct control_who *ret)
{
    struct node *self = context;
    const struct zap_key *key = zap_identify(self->zap, user_id, public_key);
    if (key == NULL) {
        return false;
    }
    (void)snprintf(ret->name, sizeof ret->name, "%s", key->name);
    ret->role = key->role == ZAP_OPERATOR ? VERB_OPERATOR : VERB_VIEWER;
    return true;
}

static int on_forward(void *context, struct control_request *request, struct err *err)
{
    struct node *self = context;
    uint64_t leader = node_leader(self);
    if (leader == 0) {
        return err_set(err, ERR_NOTLEADER, "no leader is known");
    }
    struct mp_writer writer;
    mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
    int rc = control_request_encode(request, &writer, err);
    rc = rc != 0 ? rc
                 : transport_send_id(self->transport, leader, TRANSPORT_FORWARD, writer.buffer.data,
                                     writer.buffer.length, false);
    mp_writer_deinit(&writer);
    return rc == 0 ? 0 : err_set(err, ERR_NOTLEADER, "the leader cannot be reached");
}

static void on_forward_reply(void *context, const char *origin, const uint8_t *bytes, size_t length)
{
    struct node *self = context;
    (void)transport_send(self->transport, origin, TRANSPORT_FORWARD_REPLY, bytes, length, false);
}

static void on_finished(void *context, const struct control_who *who, const char *verb, int code,
                        int64_t duration_ms)
{
    struct node *self = context;
    log_write(self->log, LOG_LEVEL_DEBUG, "control.request", log_text("who", who->name),
              log_text("verb", verb), log_int("exit", code), log_int("duration_ms", duration_ms));
}

static const struct control_handler HANDLERS[] = {
    {"status", on_status},
    {"health", on_health},
    {"members", on_members},
    {"join", on_join},
    {"leave", on_leave},
    {"remove", on_remove},
    {"drain", on_drain},
    {"undrain", on_undrain},
    {"leader", on_leader},
    {"leader transfer", on_transfer},
    {"leader history", on_history},
    {"manager list", on_managers},
    {"manager show", on_manager_show},
    {"manager mode", handlers_manager_mode},
    {"manager pause", on_manager_pause},
    {"manager resume", on_manager_resume},
    {"manager restart", on_manager_restart},
    {"duty list", on_duties},
    {"duty move", on_duty_move},
    {"primary list", on_pm2_list},
    {"backup list", on_pm2_list},
    {"pm2 list", handlers_pm2_list},
    {"pm2 adopt", handlers_pm2_adopt},
    {"pm2 start", handlers_pm2_change},
    {"pm2 stop", handlers_pm2_change},
    {"pm2 restart", handlers_pm2_change},
    {"pm2 logs", handlers_pm2_logs},
    {"pm2 backups", handlers_pm2_backups},
    {"pm2 restore", handlers_pm2_reinstate},
    {"coverage", handlers_coverage},
    {"audit show", handlers_audit_show},
    {"why leader", handlers_why},
    {"why duty", handlers_why},
    {"why not duty", handlers_why_not_duty},
    {"why run", handlers_why},
    {"why alert", handlers_why},
    {"schedule list", handlers_schedule_list},
    {"schedule show", handlers_schedule_show},
    {"schedule next", handlers_schedule_next},
    {"run list", handlers_run_list},
    {"run show", handlers_run_show},
    {"run logs", handlers_run_logs},
    {"run cancel", handlers_run_cancel},
    {"run start", handlers_run_start},
    {"ticks ledger", handlers_ticks_ledger},
    {"intent list", handlers_intent_list},
    {"intent retry", handlers_intent_retry},
    {"intent drop", handlers_intent_drop},
    {"snapshot page", handlers_snapshot_page},
    {"events", handlers_stream_events},
    {"logs", handlers_stream_logs},
    {"start", on_start},
    {"stop", on_stop},
    {"maintenance on", handlers_maintenance_on},
    {"maintenance off", handlers_maintenance_off},
    {"alert list", handlers_alert_list},
    {"alert ack", handlers_alert_ack},
    {"alert resolve", handlers_alert_resolve},
    {"recovery", handlers_recovery},
};

int handlers_create(struct node *self, struct err *err)
{
    const struct config_control *config = &self->config->control;
    struct control_config control = {
        .loop = self->loop,
        .ipc_path = strncmp(config->listen, "ipc://", 6) == 0 ? config->listen + 6 : NULL,
        .tcp_endpoint = config->listen_tcp[0] == '\0' ? NULL : config->listen_tcp,
        .curve_public = self->own.public_key,
        .curve_secret = self->own.secret_key,
        .handlers = HANDLERS,
        .handler_count = sizeof HANDLERS / sizeof HANDLERS[0],
        .handler_context = self,
        .callbacks = {.context = self,
                      .facts = on_facts,
                      .role_of = on_role_of,
                      .forward = on_forward,
                      .forward_reply = on_forward_reply,
                      .finished = on_finished},
    };
    return control_create(&control, &self->control, err);
}
