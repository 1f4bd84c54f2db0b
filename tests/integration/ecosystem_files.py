"""Ecosystem files of many shapes, for test_ecosystem.py. {n} is a name that no other file has; each
file stands in a folder of its own with {n}.js, {n}.py and {n}.sh, which run until they are ended."""

import json
import random

# What the real PM2 is not asked: it would hang for ever, or be ended by the file.
WITHOUT_PM2 = True

# (name, text), (name, text, "production") for --env production.
HAND_WRITTEN = [
    ("strict.json", '{"apps": [{"name": "{n}", "script": "{n}.js"}]}'),
    ("many.json", """{
  "apps": [
    {"name": "{n}-a", "script": "{n}.sh", "args": "one 'two three' --k=\\"v w\\" \\"\\" x=1"},
    {"name": "{n}-b", "script": "./{n}.py", "max_memory_restart": "120M", "min_uptime": "5s",
     "kill_timeout": 800, "max_restarts": 0, "stop_exit_codes": [0], "autorestart": false},
    {"name": "{n}-c", "script": "{n}.sh", "cwd": "..", "exp_backoff_restart_delay": "100"}
  ]
}"""),
    ("loose.json", """// as people write it
{ apps: [{ name: '{n}', script: '{n}.js', instances: 1 /* one */, }], }"""),
    ("bare-list.json", '[{"script": "{n}.sh"}]'),
    ("bare-app.json", '{"script": "{n}.sh", "name": "{n} with, signs_and.dots"}'),
    ("pm2-key.json", '{"pm2": {"script": "{n}.sh"}, "apps": null, "extra": 1}'),
    ("twice.json", '{"apps": [{"name": "{n}-x", "name": "{n}", "script": "{n}.sh"}]}'),
    ("common.config.js", 'console.log("noise"); console.error("more");\n'
                         'module.exports = {apps: [{name: "{n}", script: "{n}.js"}]}'),
    ("common.config.cjs", 'const apps = ["a", "b"].map((x) => ({name: `{n}-${x}`, '
                          'script: "{n}.sh", env: {X: x, GONE: undefined}}));\n'
                          'module.exports = {apps, deploy: {production: {env: {D: "1"}}}};'),
    ("esm.config.mjs", 'export const apps = [{name: "{n}", script: "{n}.sh"}]'),
    ("esm-default.config.mjs", 'export default {apps: [{name: "{n}", script: "{n}.sh"}]}'),
    ("esm-await.config.mjs", 'const n = await "{n}"; export const apps = [{script: `${n}.sh`}]'),
    ("sections.config.js", """module.exports = {apps: [{
  name: "{n}", script: "{n}.sh", append_env_to_name: true,
  env: {A: "1", NEST: {deep: [1, 0.5, "x"]}, LIST: [1, 2], NUL: null, YES: true, N: 12.5},
  env_production: {A: "2", B: {no: "text"}, PORT: 8080}, env_file: ".env"
}, {name: "{n}-without", script: "{n}.sh"}]}""", "production"),
    ("text-section.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                               'env_production: "A=B"}]}', "production"),
    ("deploy-env.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                             'env: {A: "app", P: "app"}, env_production: {P: "section"}}], '
                             'deploy: {production: {env: {A: "deploy", P: "deploy"}}}}',
     "production"),
    ("instances.config.js", 'module.exports = {apps: [{name: "{n}-two", script: "{n}.js", '
                            'instances: "2"}, {name: "{n}-fork", script: "{n}.js", instances: 1, '
                            'exec_mode: "fork"}, {name: "{n}-py", script: "{n}.py", '
                            'instances: 2}, {name: "{n}-minus", script: "{n}.js", '
                            'instances: -9}]}'),
    ("aliases.config.js", """module.exports = {apps: [{
  name: "{n}", exec: "{n}.sh", interpreter: "bash", interpreter_args: "-u -e", maxRestarts: 3,
  out: "logs/o.log", err_log: "logs/e.log", log: "all.log", pid: "{n}.pid", combine_logs: true,
  killTimeout: 900, cron: "0 3 * * *", logDateFormat: "YYYY", user: undefined
}]}"""),
    ("shadowed.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                           'exec: "other.sh", cmd: "third.sh", max_restarts: 2, maxRestarts: 5, '
                           'output: "a.log", out_file: "b.log"}]}'),
    ("exec-no-name.json", '{"apps": [{"exec": "{n}.sh"}, {"name": "{n}", "script": "{n}.sh"}]}'),
    ("command.json", '{"apps": [{"command": "{n}.sh", "time": true}, '
                     '{"name": "{n}-line", "cmd": "sleep 1000", "args": ["lost"]}]}'),
    ("logs.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "instances": 2, '
                  '"out_file": "deep/er/out-7.log", "error_file": "/dev/null", "log_file": true, '
                  '"log_type": "json"}, {"name": "{n}-tilde", "script": "{n}.sh", '
                  '"out_file": "~/{n}-out.log", "error_file": "NULL", "merge_logs": false, '
                  '"disable_logs": true}]}'),
    ("binary.json", '{"apps": [{"name": "{n}", "script": "sleep", "args": ["1000"]}, '
                    '{"name": "{n}-none", "script": "/bin/sleep", "args": "1000", '
                    '"interpreter": "none", "autostart": false}]}'),
    ("field-names.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", '
                         '"env": {"watch_delay": 7, "io": "x", "{n}": "mine", '
                         '"namespace": "mine"}, "io": {"a": 1}, "port": 4321}]}'),
    ("cron.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", '
                  '"cron_restart": "*/15 0 3 L jan-mar sun", "autorestart": false}, '
                  '{"name": "{n}-off", "script": "{n}.sh", "cron_restart": 0}]}'),
    ("unknown-keys.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "max_memory": "1G", '
                          '"restartDelay": 10, "restart_dely": 5, "nodeArgs": ["-x"], '
                          '"filter_env": true, "source_map_support": false}], "settings": {}}'),
    ("some-missing.json", '{"apps": [{"name": "{n}", "script": "{n}.sh"}, '
                          '{"name": "{n}-no", "script": "nothing/here.js"}, '
                          '{"name": "{n}-int", "script": "{n}.sh", "interpreter": "nosuch"}]}'),
    ("static.json", '{"apps": [], "static": [{"name": "{n}", "port": 0, "path": "."}]}'),
    ("numbers.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                          'max_restarts: NaN, restart_delay: "5x".length, min_uptime: "100", '
                          'listen_timeout: "0x10", stop_exit_codes: [], '
                          'max_memory_restart: "2048"}]}'),
    ("frozen.config.js", 'module.exports = {apps: [Object.freeze({name: "{n}", '
                         'script: "{n}.sh"})]}'),
    ("apps.config.yaml", """# as PM2 itself shows it
apps:
  - name: {n}
    script: ./{n}.sh
    args: [one, 2]
    max_memory_restart: 200M
    env: &env {MODE: production, N: 0x10, YES: yes, OCTAL: 010}
    env_production:
      <<: *env
      MODE: other
  - {name: {n}-b, script: "{n}.py", instances: 2}
""", "production"),
    ("broken.yml", "apps:\n  - name: {n}\n   script: x\n"),
    ("no-text.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", env: '
                          '{F: () => 1, R: /x/, M: new Map(), S: Symbol("s"), N: NaN}}]}'),
    ("same-names.json", '{"apps": [{"name": "{n}", "script": "{n}.sh"}, '
                        '{"name": "{n}", "script": "{n}.py"}]}'),
    ("folder.config.js", 'const path = require("path"); module.exports = {apps: [{name: "{n}", '
                         'script: path.join(__dirname, "{n}.sh"), cwd: process.cwd()}]}'),
    # What PM2 refuses as a whole.
    ("memory.json", '{"apps": [\n  {"name": "{n}", "script": "{n}.sh"},\n'
                    '  {"name": "{n}-b", "script": "{n}.sh",\n'
                    '   "max_memory_restart": "300MB"}]}'),
    ("types.json", '{"apps": [{"name": 5, "script": "{n}.sh", "autorestart": "yes", '
                   '"watch_options": [], "max_restarts": -1, "min_uptime": 5}]}'),
    ("functions.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                            'args: () => ["x"]}]}'),
    ("mode.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "exec_mode": "Cluster"}]}'),
    ("bad-cron.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", '
                      '"cron_restart": "61 * * * *"}]}'),
    ("null-app.json", '{"apps": [null, {"name": "{n}", "script": "{n}.sh"}]}'),
    ("text-env.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "env": "A=B"}]}'),
    ("number-script.json", '{"apps": [{"name": "{n}", "script": 5}]}'),
    ("group-alone.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "gid": "daemon"}]}'),
    # What has no apps.
    ("no-apps.config.js", 'module.exports = {}'),
    ("empty-list.json", '{"apps": []}'),
    ("function.config.js", 'module.exports = () => ({apps: [{script: "{n}.sh"}]})'),
    ("promise.config.js", 'module.exports = Promise.resolve({apps: [{script: "{n}.sh"}]})'),
    ("text.config.js", 'module.exports = "apps"'),
    ("empty.json", ''),
    ("syntax.config.js", 'module.exports = {\n  apps: [{name: "{n}",, script: "x"}]\n}'),
    ("throws.config.js", '\nthrow new Error("not today")'),
    ("missing-module.config.js", 'module.exports = require("no-such-module")'),
    ("module.json", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh"}]}'),
    # Other names: PM2 takes such a file for a script.
    ("apps.cjs", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh"}]}', None, WITHOUT_PM2),
    ("apps.mjs", 'export const apps = [{name: "{n}", script: "{n}.sh"}]', None, WITHOUT_PM2),
    ("apps.conf", '{"apps": [{"name": "{n}", "script": "{n}.sh"}]}', None, WITHOUT_PM2),
    # What never comes to its end, or ends everything.
    ("loop.config.js", 'for (;;) {}', None, WITHOUT_PM2),
    ("loop.json", '(() => { for (;;) {} })()', None, WITHOUT_PM2),
    ("timer.config.js", 'setInterval(() => {}, 10); module.exports = {apps: [{name: "{n}", '
                        'script: "{n}.sh"}]}', None, WITHOUT_PM2),
    ("exit.config.js", 'process.exit(3)', None, WITHOUT_PM2),
    ("flood.config.js", 'const fs = require("fs"); for (;;) fs.writeSync(1, "x".repeat(65536))',
     None, WITHOUT_PM2),
    ("large.config.js", 'module.exports = {apps: [{name: "{n}", script: "{n}.sh", '
                        'args: ["x".repeat(8 << 20)]}]}', None, WITHOUT_PM2),
    ("hungry.config.js", 'const a = []; for (;;) a.push(Buffer.alloc(1 << 24, 1));', None,
     WITHOUT_PM2),
    ("values.config.js", 'module.exports = {apps: Array(200000).fill({})}', None, WITHOUT_PM2),
    ("circle.config.js", 'const a = {name: "{n}", script: "{n}.sh"}; a.env = {a}; '
                         'module.exports = {apps: [a]}', None, WITHOUT_PM2),
    ("cron-alias.json", '{"apps": [{"name": "{n}", "script": "{n}.sh", "cron": "whenever"}]}',
     None, WITHOUT_PM2),
    ("left.config.js", 'require("child_process").spawn("sleep", ["1000"], {detached: true, '
                       'stdio: "ignore", env: {LEFT: "{n}"}}); for (;;) {}', None, WITHOUT_PM2),
]

# What a generated app may hold, beside name and script; the right and the wrong.
KEYS = {
    "args": ["a b", ["x", "y"], "'q r' s", 5, ""],
    "autorestart": [True, False, 0, "no"],
    "cron_restart": ["0 4 * * *", "0 0 1 1 *", "", 0, "* *"],
    "cwd": [".", "..", "sub", ""],
    "disable_logs": [True, False],
    "env": [{"A": "1"}, {"B": 2, "C": {"x": [True, None]}}, {}, None, []],
    "env_test": [{"A": "t"}, {"D": None}, 7],
    "error_file": ["e.log", "/dev/null", "sub/e-12.log", 3],
    "exp_backoff_restart_delay": [100, "200", 0],
    "force": [True, False],
    "instances": [1, "1", 2, "2x", 1.5, True, None],
    "interpreter": ["bash", "none", "node", "gone"],
    "kill_timeout": [500, "700", 0, "1s"],
    "listen_timeout": [300, 0],
    "log_date_format": ["YYYY", ""],
    "log_file": [True, False, "l.log"],
    "max_memory_restart": [1000000, "500K", "1G", "1.5G", 0, "20"],
    "max_restarts": [3, 0, "4", -1],
    "merge_logs": [True, False],
    "min_uptime": [1000, "2s", "3m", 50, "4h", "1d"],
    "namespace": ["team", ""],
    "node_args": ["-u", ["-e"], {}],
    "out": ["o.log", "NULL"],
    "pid_file": ["p.pid", "q-3.pid"],
    "port": [8080, "8081", 0],
    "restart_delay": [50, "60", 0, [70]],
    "shutdown_with_message": [False, 1],
    "source_map_support": [True, False],
    "stop_exit_codes": [[1, 2], [3], 4, "5", "x"],
    "time": [True, False],
    "treekill": [True, False],
    "vizion": [False, True],
    "windowsHide": [False],
    "unheard_of": [1],
    "watchDelay": [5],
}
BROKEN = 0.06  # how often a generated value is one that comes late in its list, the wrong ones


def value_of(rng, choices):
    good = max(1, (len(choices) + 1) // 2)
    return rng.choice(choices if rng.random() < BROKEN * 5 else choices[:good])


def generated(seed, count):
    """`count` files of one to three apps, the same for the same seed."""
    rng = random.Random(seed)
    files = []
    for index in range(count):
        apps = []
        for number in range(rng.randint(1, 3)):
            app = {"script": rng.choice(["{n}.sh", "./{n}.sh", "{n}.py", "{n}.js"]),
                   "name": f"{{n}}-{number}"}
            for key in rng.sample(sorted(KEYS), rng.randint(2, 8)):
                app[key] = value_of(rng, KEYS[key])
            if app["script"].endswith(".js") and app.get("interpreter") in ("bash", "none"):
                app["interpreter"] = "node"
            apps.append(app)
        text = json.dumps({"apps": apps}, indent=1)
        if index % 2:
            text = f"module.exports = {text}"
        name = f"generated-{index}." + ("config.js" if index % 2 else "json")
        files.append((name, text, rng.choice([None, "test"])))
    return files
