#include "node/config/config.h"
#include "node/config/schema.h"

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define MB ((int64_t)1 << 20)
#define TB ((int64_t)1 << 40)

#define FIELD(member) offsetof(struct config, member), sizeof(((struct config *)0)->member)
#define NOFIELD 0, 0
#define RESTART SCHEMA_RESTART
#define LIST SCHEMA_LIST

// clang-format off
/* What both primaries (when guarded) and backups say of their process. */
#define PROCESS_ROWS(p) \
    {p ".script", SCHEMA_TEXT, 0, \
     NULL,        1,           4095, \
     NULL,        NOFIELD,     "program or script to run; relative to cwd"}, \
        {p ".args", SCHEMA_TEXT, LIST, NULL, 0, 4095, NULL, NOFIELD, "arguments of the script"}, \
        {p ".cwd", SCHEMA_PATH, 0, NULL, 1, CONFIG_PATH_SIZE - 1, NULL, NOFIELD, "working folder"}, \
        {p ".interpreter", \
         SCHEMA_TEXT, \
         0, \
         NULL, \
         1, \
         255, \
         NULL, \
         NOFIELD, \
         "program that runs the script; none to run it itself; default by the script's name"}, \
        {p ".env.NAME", SCHEMA_TEXT, 0, \
         NULL,          0,           32767, \
         NULL,          NOFIELD,     "environment of the process; no secrets here"}, \
        {p ".memory", \
         SCHEMA_SIZE, \
         0, \
         NULL, \
         MB, \
         TB, \
         NULL, \
         NOFIELD, \
         "limit of its memory with all its children; a primary past it for over raises an " \
         "alert, a backup is restarted"}, \
        {p ".kill_timeout", \
         SCHEMA_DURATION, \
         0, \
         "1.6s", \
         100, \
         HOUR, \
         NULL, \
         NOFIELD, \
         "time between SIGTERM and SIGKILL"}, \
        {p ".max_restarts", \
         SCHEMA_INTEGER, \
         0, \
         "15", \
         0, \
         10000, \
         NULL, \
         NOFIELD, \
         "restarts in a row before PM2 gives up"}, \
        {p ".exp_backoff", \
         SCHEMA_DURATION, \
         0, \
         "100ms", \
         0, \
         HOUR, \
         NULL, \
         NOFIELD, \
         "first pause before a restart; it grows"}, \
        {p ".start_within", \
         SCHEMA_DURATION, \
         0, \
         "30s", \
         0, \
         DAY, \
         NULL, \
         NOFIELD, \
         "wanted, and not seen to run for longer: another tier takes over"}, \
        {p ".retry_after", \
         SCHEMA_DURATION, \
         0, \
         "5m", \
         0, \
         DAY, \
         NULL, \
         NOFIELD, \
         "pause before what failed for another tier is tried again; it doubles"}, \
        {p ".restart_delay", \
         SCHEMA_DURATION, \
         0, \
         "0s", \
         0, \
         DAY, \
         NULL, \
         NOFIELD, \
         "fixed pause before a restart, in place of exp_backoff"}, \
    { \
        p ".on", SCHEMA_NAME, LIST, NULL, 1, NAME_SIZE - 1, NULL, NOFIELD, \
            "nodes that run it; none named: any node" \
    }

/* What everything says that runs at times: schedules, and backups in mode cron. */
#define SCHEDULE_ROWS(p, flags, zone) \
    {p ".cron", SCHEMA_TEXT, flags, NULL, 1, 120, NULL, NOFIELD, \
     "when: five fields (minute, hour, day, month, day of week), or @daily and its like"}, \
    {p ".every", SCHEMA_DURATION, flags, NULL, SECOND, 366 * DAY, NULL, NOFIELD, \
     "when: at this distance, counted from anchor; instead of cron"}, \
    {p ".zone", SCHEMA_TEXT, flags, NULL, 1, 63, NULL, NOFIELD, \
     "time zone of cron; default: " zone}, \
    {p ".anchor", SCHEMA_TEXT, flags, "1970-01-01T00:00:00Z", 1, 40, NULL, NOFIELD, \
     "time that every is counted from, as 2026-01-31T12:00:00Z"}, \
    {p ".gap", SCHEMA_CHOICE, flags, "next", 0, 0, "next skip", NOFIELD, \
     "a local time that a change of the clock leaves out: at the change, or not"}, \
    {p ".fold", SCHEMA_CHOICE, flags, "first", 0, 0, "first second both", NOFIELD, \
     "a local time that comes twice: which of the two"}, \
    {p ".overlap", SCHEMA_CHOICE, flags, "forbid", 0, 0, "forbid allow replace", NOFIELD, \
     "a run of it is under way still: skip the slot, run beside it, or end it"}, \
    {p ".misfire", SCHEMA_CHOICE, flags, "run_once", 0, 0, "run_once run_all skip", NOFIELD, \
     "slots that nobody could decide in time: the newest runs, or all, or none"}, \
    {p ".misfire_cap", SCHEMA_INTEGER, flags, "10", 1, 1000, NULL, NOFIELD, \
     "run_all: at most so many, the newest"}, \
    {p ".misfire_window", SCHEMA_DURATION, flags, "1d", 0, 366 * DAY, NULL, NOFIELD, \
     "run_all: none older than this"}, \
    {p ".start_deadline", SCHEMA_DURATION, flags, "60s", SECOND, 366 * DAY, NULL, NOFIELD, \
     "a slot that could not be started within this is a misfire"}, \
    {p ".progress_deadline", SCHEMA_DURATION, flags, "0s", 0, 366 * DAY, NULL, NOFIELD, \
     "end a run that has written nothing for so long; 0s: never"}, \
    {p ".finish_deadline", SCHEMA_DURATION, flags, "0s", 0, 366 * DAY, NULL, NOFIELD, \
     "end a run that takes longer; 0s: never"}, \
    {p ".min_runtime", SCHEMA_DURATION, flags, "0s", 0, 366 * DAY, NULL, NOFIELD, \
     "a run that ends well, but before this, has failed"}, \
    {p ".retries", SCHEMA_INTEGER, flags, "0", 0, 100, NULL, NOFIELD, \
     "further attempts after a failed one"}, \
    {p ".backoff", SCHEMA_DURATION, flags, "30s", 0, 366 * DAY, NULL, NOFIELD, \
     "pause before the first retry; doubled for each further one"}, \
    {p ".backoff_max", SCHEMA_DURATION, flags, "10m", 0, 366 * DAY, NULL, NOFIELD, \
     "longest such pause"}, \
    {p ".retry_unknown", SCHEMA_BOOL, flags, "false", 0, 0, NULL, NOFIELD, \
     "retry a run whose end nobody saw, too: it may have happened twice then"}, \
    {p ".critical", SCHEMA_BOOL, flags, "false", 0, 0, NULL, NOFIELD, \
     "its failure is an emergency"}, \
    {p ".output", SCHEMA_SIZE, flags, "256KB", 1024, 16 * MB, NULL, NOFIELD, \
     "output kept of a run: its beginning and its end"}, \
    {p ".keep", SCHEMA_INTEGER, flags, "20", 1, 1000, NULL, NOFIELD, \
     "outputs kept on a node"}
// clang-format on

const struct schema_row schema_rows[] = {
    {"cluster.name", SCHEMA_NAME, RESTART, "understudy", 1, NAME_SIZE - 1, NULL,
     FIELD(cluster.name), "name of the cluster; nodes of another one are refused"},
    {"cluster.environment", SCHEMA_NAME, RESTART, "production", 1, NAME_SIZE - 1, NULL,
     FIELD(cluster.environment),
     "production, development or a name; nodes of another one are refused"},
    {"cluster.node", SCHEMA_NAME, RESTART, NULL, 1, NAME_SIZE - 1, NULL, FIELD(cluster.node),
     "name of this node; default: the host's name"},
    {"cluster.listen", SCHEMA_TCP, RESTART, "tcp://0.0.0.0:7400", 1, ADDRESS_SIZE - 1, NULL,
     FIELD(cluster.listen), "address that other nodes connect to"},
    {"cluster.advertise", SCHEMA_TCP, RESTART, NULL, 1, ADDRESS_SIZE - 1, NULL,
     FIELD(cluster.advertise), "address told to other nodes; default: the own entry in peers"},
    {"cluster.peers.NAME", SCHEMA_TCP, RESTART, NULL, 1, ADDRESS_SIZE - 1, NULL, NOFIELD,
     "founding voters with their addresses: 1, 3 or 5"},
    {"cluster.public_keys.NAME", SCHEMA_PUBLIC_KEY, RESTART, NULL, 40, 40, NULL, NOFIELD,
     "public keys of nodes; default: the keys folder"},
    {"cluster.profile", SCHEMA_CHOICE, RESTART, "lan", 0, 0, "local lan wan",
     FIELD(cluster.profile),
     "timing: local (one machine, a quiet one), lan, or wan (round trips of up to 200ms)"},
    {"cluster.keys", SCHEMA_PATH, RESTART, "/etc/understudy/keys", 1, CONFIG_PATH_SIZE - 1, NULL,
     FIELD(cluster.keys), "folder of this node's keys"},
    {"cluster.voters", SCHEMA_INTEGER, RESTART | SCHEMA_INT32, "5", 1, VOTERS_MAX, NULL,
     FIELD(cluster.voters), "nodes that vote at most: 1, 3, 5 or 7"},
    {"cluster.heartbeat", SCHEMA_DURATION, RESTART, NULL, 5, 10 * SECOND, NULL,
     FIELD(cluster.heartbeat_ms), "pause between the leader's heartbeats; default: the profile's"},
    {"cluster.election_timeout", SCHEMA_DURATION, RESTART, NULL, 50, MINUTE, NULL,
     FIELD(cluster.election_timeout_ms),
     "silence after which a voter stands for election; default: the profile's"},
    {"cluster.lease", SCHEMA_DURATION, RESTART, NULL, 20, MINUTE, NULL, FIELD(cluster.lease_ms),
     "how long a confirmed leader may act; default: the profile's"},
    {"cluster.gossip_interval", SCHEMA_DURATION, RESTART, NULL, 50, MINUTE, NULL,
     FIELD(cluster.gossip_interval_ms), "pause between gossip probes; default: the profile's"},

    {"control.listen", SCHEMA_ENDPOINT, RESTART, NULL, 1, ADDRESS_SIZE + CONFIG_PATH_SIZE - 1, NULL,
     FIELD(control.listen), "socket of the command line; default: in runtime_dir"},
    {"control.listen_tcp", SCHEMA_TCP, RESTART, NULL, 1, ADDRESS_SIZE - 1, NULL,
     FIELD(control.listen_tcp), "the same over TCP with keys; default: none"},

    {"dashboard.enabled", SCHEMA_BOOL, RESTART, "true", 0, 0, NULL, FIELD(dashboard.enabled),
     "serve the dashboard and the HTTP interface"},
    {"dashboard.listen", SCHEMA_HOST_PORT, RESTART | LIST, "127.0.0.1:3001", 1, ADDRESS_SIZE - 1,
     NULL, NOFIELD, "addresses of the dashboard"},
    {"dashboard.live", SCHEMA_BOOL, 0, "true", 0, 0, NULL, FIELD(dashboard.live),
     "pages renew themselves"},

    {"health.healthy_from", SCHEMA_NUMBER, 0, "80", 0, 100, NULL, FIELD(health.healthy_from),
     "score from which a part is healthy"},
    {"health.emergency_from", SCHEMA_NUMBER, 0, "60", 0, 100, NULL, FIELD(health.emergency_from),
     "system score below which emergency mode begins"},
    {"health.manager_interval", SCHEMA_DURATION, 0, "2m", SECOND, DAY, NULL,
     FIELD(health.manager_interval_ms), "pause between checks of the managers' health"},
    {"health.sample_interval", SCHEMA_DURATION, 0, "1s", 100, MINUTE, NULL,
     FIELD(health.sample_interval_ms), "pause between samples of this node's health"},
    {"health.inject_file", SCHEMA_PATH, 0, NULL, 1, CONFIG_PATH_SIZE - 1, NULL,
     FIELD(health.inject_file), "file with a number taken off this node's score, for rehearsals"},

    {"leadership.handover_below", SCHEMA_NUMBER, 0, "80", 0, 100, NULL,
     FIELD(leadership.handover_below), "score of the leader below which another node takes over"},
    {"leadership.margin", SCHEMA_NUMBER, 0, "10", 0, 100, NULL, FIELD(leadership.margin),
     "by how much the other node must be better"},
    {"leadership.hold", SCHEMA_DURATION, 0, "3s", 0, HOUR, NULL, FIELD(leadership.hold_ms),
     "for how long that must hold"},
    {"leadership.min_tenure", SCHEMA_DURATION, 0, "30s", 0, DAY, NULL,
     FIELD(leadership.min_tenure_ms), "shortest time between two such moves"},

    {"placement.room", SCHEMA_INTEGER, 0, "64", 1, DUTIES_MAX, NULL, FIELD(placement.room),
     "most duties of one node; of more, those of the lowest priority wait"},

    {"grants.ttl", SCHEMA_DURATION, RESTART, "5s", SECOND, 10 * MINUTE, NULL, FIELD(grants.ttl_ms),
     "how long a node may run an exclusive duty without a renewal"},
    {"grants.renew", SCHEMA_DURATION, RESTART, "500ms", 50, MINUTE, NULL, FIELD(grants.renew_ms),
     "pause between renewals"},
    {"grants.on_disconnect", SCHEMA_CHOICE, RESTART, "keep", 0, 0, "keep stop",
     FIELD(grants.on_disconnect), "a guard without its node keeps to its grant, or stops at once"},
    {"grants.on_death", SCHEMA_CHOICE, RESTART, "stop", 0, 0, "keep stop", FIELD(grants.on_death),
     "after a node's death its guarded processes keep to their grants, or are stopped"},

    {"data_dir", SCHEMA_PATH, RESTART, "/var/lib/understudy", 1, CONFIG_PATH_SIZE - 1, NULL,
     FIELD(data_dir), "folder of the node's own state"},
    {"runtime_dir", SCHEMA_PATH, RESTART, "/run/understudy", 1, CONFIG_PATH_SIZE - 1, NULL,
     FIELD(runtime_dir), "folder of sockets and pid files"},

    {"log.dir", SCHEMA_PATH, RESTART, NULL, 1, CONFIG_PATH_SIZE - 1, NULL, FIELD(log.dir),
     "folder of log files; default: standard error"},
    {"log.level", SCHEMA_CHOICE, 0, "info", 0, 0, "error warn info debug", FIELD(log.level),
     "least level that is written"},
    {"log.format", SCHEMA_CHOICE, RESTART, "text", 0, 0, "text json", FIELD(log.format),
     "one line per event as key=value or as JSON"},
    {"log.max_size", SCHEMA_SIZE, RESTART, "10MB", 64 << 10, 10240 * MB, NULL, FIELD(log.max_bytes),
     "size at which a log file is rotated"},
    {"log.keep_days", SCHEMA_INTEGER, RESTART, "30", 1, 3650, NULL, FIELD(log.keep_days),
     "days after which rotated files are deleted"},

    {"debug.record", SCHEMA_SIZE, RESTART, "0", 0, 10240 * MB, NULL, FIELD(debug_record_bytes),
     "bound of each of the two files of the decision log in data_dir; 0: none is written"},

    {"debug.clock", SCHEMA_TEXT, RESTART, NULL, 0, CONFIG_CLOCK_SIZE - 1, NULL, FIELD(debug_clock),
     "BOOT_MS:WALL_MS:RATE: a wall clock that shows WALL_MS at BOOT_MS and runs RATE times as "
     "fast"},

    {"history.enabled", SCHEMA_BOOL, 0, "true", 0, 0, NULL, FIELD(history_enabled),
     "keep the history of scores"},
    {"labels.NAME", SCHEMA_TEXT, 0, NULL, 0, NAME_SIZE - 1, NULL, NOFIELD,
     "labels of this node, for placement"},

    {"managers.pm2.homes", SCHEMA_PATH, LIST, NULL, 1, CONFIG_PATH_SIZE - 1, NULL, NOFIELD,
     "PM2_HOME of each PM2 to watch; default: that of the node's user"},
    {"managers.pm2.revive", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "bring a PM2 daemon back that died or hangs, and with it the processes of its list"},
    {"managers.pm2.install", SCHEMA_BOOL, 0, "false", 0, 0, NULL, NOFIELD,
     "install PM2 with npm into data_dir where none is found, and start it"},
    {"managers.pm2.verify", SCHEMA_DURATION, 0, "3m", 5 * SECOND, DAY, NULL, NOFIELD,
     "pause between full verifications of every primary against the kernel"},
    {"managers.pm2.loop.restarts", SCHEMA_INTEGER, 0, "10", 2, 64, NULL, NOFIELD,
     "a primary that ended by itself so often within loop.window runs in a slow loop; five times "
     "within a minute is a crash loop always"},
    {"managers.pm2.loop.window", SCHEMA_DURATION, 0, "1h", MINUTE, DAY, NULL, NOFIELD,
     "see loop.restarts"},
    {"managers.pm2.daemon_memory", SCHEMA_SIZE, 0, "500MB", 0, TB, NULL, NOFIELD,
     "PM2's own daemon past it raises an alert; 0: never"},
    {"managers.pm2.logs.rotate", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "rotate the logs of PM2's processes and its own, unless another program does"},
    {"managers.pm2.logs.max_size", SCHEMA_SIZE, 0, "10MB", 4096, TB, NULL, NOFIELD,
     "a log of this size is rotated"},
    {"managers.pm2.logs.daily", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "rotate each log at local midnight too"},
    {"managers.pm2.logs.compress", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "pack rotated logs with gzip"},
    {"managers.pm2.logs.keep", SCHEMA_DURATION, 0, "30d", MINUTE, 3650 * DAY, NULL, NOFIELD,
     "rotated logs are deleted after this time"},
    {"managers.pm2.logs.budget", SCHEMA_SIZE, 0, "1GB", MB, TB, NULL, NOFIELD,
     "bytes that all rotated logs of a host may take; over it the oldest of the largest log goes"},
    {"managers.pm2.mend", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "bring failed primaries back on their own hosts; one that a person stopped stays stopped"},
    {"managers.pm2.primaries", SCHEMA_OBJECTS, 0, "[]", 0, 0, NULL, NOFIELD,
     "the team's own processes, which are watched"},
    {"managers.pm2.primaries[].name", SCHEMA_NAME, SCHEMA_REQUIRED, NULL, 1, NAME_SIZE - 1, NULL,
     NOFIELD, "its name in PM2"},
    {"managers.pm2.primaries[].critical", SCHEMA_BOOL, 0, "false", 0, 0, NULL, NOFIELD,
     "its stop is an emergency"},
    {"managers.pm2.primaries[].mend", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD,
     "bring it back on its own host when PM2 has given it up"},
    {"managers.pm2.primaries[].guarded", SCHEMA_BOOL, 0, "false", 0, 0, NULL, NOFIELD,
     "run it under the guard, so that primary and backup can never run at the same time"},
    {"managers.pm2.primaries[].cpu", SCHEMA_INTEGER, 0, NULL, 1, 100000, NULL, NOFIELD,
     "limit of its processor time, in percent of one core, of all its instances with their "
     "children; past it for over: an alert"},
    {"managers.pm2.primaries[].over", SCHEMA_DURATION, 0, "1m", SECOND, DAY, NULL, NOFIELD,
     "past cpu or memory for so long without a break: an alert"},
    {"managers.pm2.primaries[].log_errors", SCHEMA_TEXT, LIST, NULL, 1, 200, NULL, NOFIELD,
     "patterns (POSIX extended regular expressions) of lines in its log that raise an alert, at "
     "most 8; the alert shows the pattern and never the line"},
    {"managers.pm2.primaries[].settle", SCHEMA_DURATION, 0, "10s", 0, DAY, NULL, NOFIELD,
     "guarded: tried again when its host is back for so long; well after it ran for so long"},
    {"managers.pm2.primaries[].priority", SCHEMA_INTEGER, 0, "0", -100, 100, NULL, NOFIELD,
     "guarded: higher goes first; under 0 it may wait while nodes are under pressure"},
    PROCESS_ROWS("managers.pm2.primaries[]"),
    {"managers.pm2.backups", SCHEMA_OBJECTS, 0, "[]", 0, 0, NULL, NOFIELD,
     "processes that stand in for primaries"},
    {"managers.pm2.backups[].name", SCHEMA_NAME, SCHEMA_REQUIRED, NULL, 1, NAME_SIZE - 1, NULL,
     NOFIELD, "its name in PM2"},
    {"managers.pm2.backups[].stands_in_for", SCHEMA_NAME, 0, NULL, 1, NAME_SIZE - 1, NULL, NOFIELD,
     "name of its primary"},
    {"managers.pm2.backups[].mode", SCHEMA_CHOICE, 0, "standby", 0, 0, "standby always cron",
     NOFIELD, "standby while its primary is unwell, always, or cron: at its times, each once"},
    {"managers.pm2.backups[].tier", SCHEMA_CHOICE, 0, "standard", 0, 0, "standard enhanced",
     NOFIELD,
     "enhanced stands in when the standard one fails too; in mode cron both run at their own "
     "times"},
    {"managers.pm2.backups[].settle", SCHEMA_DURATION, 0, "10s", 0, DAY, NULL, NOFIELD,
     "gives way after the primary was well for so long"},
    {"managers.pm2.backups[].when_unreachable", SCHEMA_CHOICE, 0, NULL, 0, 0, "wait", NOFIELD,
     "wait: never start while the primary's host cannot be reached"},
    {"managers.pm2.backups[].when_unreachable.start_after", SCHEMA_DURATION, 0, "30s", 0, DAY, NULL,
     NOFIELD, "start when the primary's host was unreachable for so long"},
    {"managers.pm2.backups[].priority", SCHEMA_INTEGER, 0, "0", -100, 100, NULL, NOFIELD,
     "higher goes first; under 0 it may wait while nodes are under pressure"},
    {"managers.pm2.backups[].copies", SCHEMA_INTEGER, 0, "1", 1, 16, NULL, NOFIELD,
     "run at the same time, as NAME, NAME-2, NAME-3 and on, on different nodes while there are "
     "enough"},
    {"managers.pm2.backups[].labels.NAME", SCHEMA_TEXT, 0, NULL, 1, NAME_SIZE - 1, NULL, NOFIELD,
     "a label that its node must have"},
    PROCESS_ROWS("managers.pm2.backups[]"),
    SCHEDULE_ROWS("managers.pm2.backups[]", SCHEMA_LATENT, "managers.pm2.zone"),
    {"managers.pm2.zone", SCHEMA_TEXT, 0, "UTC", 1, 63, NULL, NOFIELD,
     "time zone of backups in mode cron that name none, such as Europe/Berlin"},

    {"managers.run.zone", SCHEMA_TEXT, 0, "UTC", 1, 63, NULL, NOFIELD,
     "time zone of schedules that name none, such as Europe/Berlin"},
    {"managers.run.schedules", SCHEMA_OBJECTS, 0, "[]", 0, 0, NULL, NOFIELD,
     "commands that run at certain times, once in the whole cluster"},
    {"managers.run.schedules[].name", SCHEMA_NAME, SCHEMA_REQUIRED, NULL, 1, NAME_SIZE - 1, NULL,
     NOFIELD, "its name; a run of it is run/NAME@SLOT"},
    {"managers.run.schedules[].run", SCHEMA_TEXT, LIST, NULL, 1, 4095, NULL, NOFIELD,
     "the command and its arguments, [program, argument, ...]; with shell one text"},
    {"managers.run.schedules[].shell", SCHEMA_BOOL, 0, "false", 0, 0, NULL, NOFIELD,
     "run is one text for /bin/sh -c"},
    {"managers.run.schedules[].cwd", SCHEMA_PATH, 0, NULL, 1, CONFIG_PATH_SIZE - 1, NULL, NOFIELD,
     "working folder; default: the home of the node's user"},
    {"managers.run.schedules[].env.NAME", SCHEMA_TEXT, 0, NULL, 0, 32767, NULL, NOFIELD,
     "environment of the command; no secrets here: see env_file"},
    {"managers.run.schedules[].env_file", SCHEMA_PATH, 0, NULL, 1, CONFIG_PATH_SIZE - 1, NULL,
     NOFIELD, "file of lines NAME=VALUE, read at each start, for secrets"},
    SCHEDULE_ROWS("managers.run.schedules[]", 0, "managers.run.zone"),
    {"managers.run.schedules[].priority", SCHEMA_INTEGER, 0, "0", -1000, 1000, NULL, NOFIELD,
     "higher goes first, and lower waits when there is no room"},
    {"managers.run.schedules[].labels.NAME", SCHEMA_TEXT, 0, NULL, 1, NAME_SIZE - 1, NULL, NOFIELD,
     "a label that its node must have"},
    {"managers.run.schedules[].on", SCHEMA_NAME, LIST, NULL, 1, NAME_SIZE - 1, NULL, NOFIELD,
     "nodes that run it; none named: any node"},

    {"managers.github.validate", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "validate workflows"},
    {"managers.github.act", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "dispatch backups"},
    {"managers.netlify.validate", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "validate functions"},
    {"managers.netlify.deploys", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "watch deploys"},
    {"managers.git.remote", SCHEMA_TEXT, 0, NULL, 1, 1023, NULL, NOFIELD, "remote to sync from"},
    {"managers.git.branch", SCHEMA_TEXT, 0, NULL, 1, 255, NULL, NOFIELD, "branch to sync"},
    {"managers.git.strategy", SCHEMA_CHOICE, 0, NULL, 0, 0, "ff-only merge rebase hardreset",
     NOFIELD, "how a working copy is brought to its remote"},
    {"managers.git.clean", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "remove untracked files"},
    {"managers.git.gc", SCHEMA_BOOL, 0, NULL, 0, 0, NULL, NOFIELD, "collect garbage"},

    {"managers.NAME.enabled", SCHEMA_BOOL, 0, "true", 0, 0, NULL, NOFIELD, "start this manager"},
    {"managers.NAME.mode", SCHEMA_CHOICE, 0, NULL, 0, 0, "armed shadow", NOFIELD,
     "shadow: decide and do nothing; default: armed in production, else shadow"},
    {"managers.NAME.poll", SCHEMA_DURATION, 0, NULL, 100, DAY, NULL, NOFIELD,
     "pause between polls; default by manager"},
    {"managers.NAME.failures", SCHEMA_INTEGER, 0, NULL, 1, 1000, NULL, NOFIELD,
     "failures in a row before it acts; default 3, netlify 2"},
    {"managers.NAME.program", SCHEMA_PATH, 0, NULL, 1, CONFIG_PATH_SIZE - 1, NULL, NOFIELD,
     "executable of a plugin; default: the one that comes with this version"},
    {"managers.NAME.options", SCHEMA_ANY, 0, NULL, 0, 0, NULL, NOFIELD, "a plugin's own options"},
};

const size_t schema_row_count = sizeof(schema_rows) / sizeof(schema_rows[0]);
