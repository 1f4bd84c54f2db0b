#!/usr/bin/python3 -B
"""`pm2 adopt`: what it proposes of a running PM2 and of an ecosystem file is a good configuration,
shows no secret, leaves out what is configured, and covers what it was made of."""

import json
import os
import signal
import subprocess

from cluster import BUILD, check, read_pid, run, say, wait_until
from demo import ALWAYS, PRIMARY, Demo

SECRET = "hunter2-and-more"
APPS = f"""module.exports = {{apps: [
  {{name: "web", script: "/usr/bin/sleep", args: "100000", interpreter: "none", kill_timeout: 900,
    max_memory_restart: "120M", env: {{NODE_ENV: "production", API_KEY: "{SECRET}", PORT: 8080}}}},
  {{name: "job", script: "/bin/true", autorestart: false, cron_restart: "*/20 3 * * 1-5"}},
  {{name: "with blanks", script: "/usr/bin/sleep", args: ["100000"]}},
  {{name: "hidden", script: "/usr/bin/sleep", args: ["100000", "--token={SECRET}"],
    autostart: false}},
  {{name: "{PRIMARY}", script: "/usr/bin/sleep", args: ["1"], autostart: false}}
]}};
"""


def rows_of(answer):
    check(answer.exit == 0, f"{answer}")
    check(SECRET not in answer.stdout, "a secret is shown")
    return {row["name"]: row for row in answer.data if row["kind"] == "process"}


def check_rows(rows, on_node):
    web = rows["web"]
    check(web["state"] == "proposed" and web["node"] == "n1", f"{web}")
    check(web["primary"] == {"name": "web", "memory": "120MB"}, f"{web}")
    check([backup["name"] for backup in web["backups"]] == ["web-backup", "web-backup-enhanced"],
          f"{web}")
    backup = web["backups"][0]
    check(backup["script"] == "/usr/bin/sleep" and backup["args"] == ["100000"] and
          backup["kill_timeout"] == "900ms" and backup["stands_in_for"] == "web" and
          backup["env"] == {"NODE_ENV": "production", "PORT": "8080"}, f"{backup}")
    check("API_KEY" in web["env_left_out"], f"{web}")
    job = rows["job"]
    check([(item["name"], item["mode"], item["cron"]) for item in job["backups"]] ==
          [("job-cron-backup", "cron", "*/20 3 * * 1-5")], f"{job}")
    check(rows["with blanks"]["state"] == "left_out", f"{rows['with blanks']}")
    check(any("secret" in text for text in rows["hidden"]["notes"]), f"{rows['hidden']}")
    check(rows[PRIMARY]["state"] == "configured" and not rows[PRIMARY]["backups"],
          f"{rows[PRIMARY]}")
    if on_node:
        check(rows[ALWAYS]["state"] == "ours", f"{rows[ALWAYS]}")


def check_page(demo, answer, name):
    """The page is a file that the daemon takes; its path."""
    check(answer.exit == 0 and SECRET not in answer.stdout, f"{answer}")
    path = os.path.join(demo.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(answer.stdout)
    done = subprocess.run([f"{BUILD}/bin/understudyd", "--config", path, "--check"],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{done.stdout}{done.stderr}\n{answer.stdout}")
    for text in (f"# {PRIMARY}", "API_KEY", "web-backup", "cron: \"*/20 3 * * 1-5\""):
        check(text in answer.stdout, f"no {text}: {answer.stdout}")
    return path


def take_over(demo, path):
    """The proposal in the node's configuration: the primary is watched, and its backup stands in."""
    node = demo["n1"]
    own = os.path.join(node.folder, "understudy.yml")
    merged = node.cli("config", "merge", own, path, json_output=False)
    check(merged.exit == 0, f"{merged}")
    with open(own, "w", encoding="utf-8") as file:
        file.write(merged.stdout)
    os.kill(read_pid(os.path.join(node.folder, "worker.pid")), signal.SIGHUP)
    wait_until(lambda: any(row["name"] == "web" and row["state"] == "up"
                           for row in node.cli("primary", "list").data or []), "web is watched")
    rows = rows_of(node.cli("pm2", "adopt"))
    check(rows["web"]["state"] == "configured" and rows["job"]["state"] == "configured",
          f"{rows['web']} {rows['job']}")
    demo.pm2(node, "stop", "web")
    wait_until(lambda: demo.duties(node).get("pm2/web-backup", {}).get("state") == "running",
               "the proposed backup runs")


def test_adopt():
    with Demo(1) as demo:
        demo.up()
        node = demo["n1"]
        apps = os.path.join(demo.folder, "team.config.js")
        with open(apps, "w", encoding="utf-8") as file:
            file.write(APPS)
        check_rows(rows_of(node.cli("pm2", "adopt", "--file", apps)), False)
        check_page(demo, node.cli("pm2", "adopt", "--file", apps, json_output=False), "file.yml")
        say("of a file: good")
        only = os.path.join(demo.folder, "only.config.js")
        with open(only, "w", encoding="utf-8") as file:
            file.write(APPS.replace(f'"{PRIMARY}"', '"other"'))
        demo.pm2(node, "start", only)
        wait_until(lambda: demo.worker_of(ALWAYS), f"{ALWAYS} runs")
        check_rows(wait_until(lambda: (rows := rows_of(node.cli("pm2", "adopt"))) and
                              "web" in rows and ALWAYS in rows and rows, "all are listed"), True)
        path = check_page(demo, node.cli("pm2", "adopt", json_output=False), "node.yml")
        say("of a running PM2: good")
        take_over(demo, path)
        say("taken over: its backup stands in")
        absent = node.cli("pm2", "adopt", "--file", "/nowhere.json")
        check(absent.exit == 7 and json.loads(absent.stderr)["code"] == "not_found", f"{absent}")
        demo.stop()


if __name__ == "__main__":
    run(test_adopt)
