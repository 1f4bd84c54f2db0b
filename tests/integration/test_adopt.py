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
    """The proposal in every node's configuration: the primary is watched, its backup stands in."""
    for node in demo.nodes:
        merged = node.cli("config", "merge", node.config, path, json_output=False)
        check(merged.exit == 0, f"{merged}")
        with open(node.config, "w", encoding="utf-8") as file:
            file.write(merged.stdout)
        os.kill(read_pid(os.path.join(node.folder, "node.pid")), signal.SIGHUP)
    node = demo["n1"]
    wait_until(lambda: any(row["name"] == "web" and row["state"] == "up"
                           for row in node.cli("primary", "list").data or []), "web is watched")
    rows = rows_of(node.cli("pm2", "adopt"))
    check(rows["web"]["state"] == "configured" and rows["job"]["state"] == "configured",
          f"{rows['web']} {rows['job']}")
    demo.pm2(node, "stop", "web")
    row = wait_until(lambda: (row := demo.duties(node).get("pm2/web-backup", {})) and
                     row["state"] == "running" and row, "the proposed backup runs")
    say(f"web was stopped on n1: {row['id']} runs on {row['node']}")


def of_a_file(demo):
    node = demo["n1"]
    path = os.path.join(demo.folder, "team.config.js")
    with open(path, "w", encoding="utf-8") as file:
        file.write(APPS)
    check_rows(rows_of(node.cli("pm2", "adopt", "--file", path)), False)
    check_page(demo, node.cli("pm2", "adopt", "--file", path, json_output=False), "file.yml")
    for kill_timeout in (2500, 9000):  # the daemon refuses more than grants.ttl has room for
        with open(path, "w", encoding="utf-8") as file:
            file.write(APPS.replace("900,", f"{kill_timeout},"))
        check_page(demo, node.cli("pm2", "adopt", "--file", path, json_output=False), "file.yml")
    absent = node.cli("pm2", "adopt", "--file", "/nowhere.json")
    check(absent.exit == 7 and json.loads(absent.stderr)["code"] == "not_found", f"{absent}")
    say("of a file: good")


def of_running_pm2s(demo):
    """Every node is asked; a name on two of them is one primary on both."""
    team = os.path.join(demo.folder, "only.config.js")
    with open(team, "w", encoding="utf-8") as file:
        file.write(APPS.replace(f'"{PRIMARY}"', '"other"'))
    demo.pm2(demo["n1"], "start", team)
    for name in ("n2", "n3"):
        demo.pm2(demo[name], "start", "/usr/bin/sleep", "--name", "twin", "--interpreter", "none",
                 "--", "100000")
    wait_until(lambda: demo.worker_of(ALWAYS), f"{ALWAYS} runs")
    asked = demo["n2"]
    check_rows(wait_until(lambda: (rows := rows_of(asked.cli("pm2", "adopt"))) and
                          {"web", "twin", ALWAYS} <= rows.keys() and rows, "all are listed"), True)
    page = asked.cli("pm2", "adopt", json_output=False)
    check("- {name: twin, on: [n2, n3]}" in page.stdout and "- {name: web, on: [n1], memory: 120MB}"
          in page.stdout, page.stdout)
    check(page.stdout.count("name: twin-backup\n") == 1, page.stdout)
    say("of running PM2s: good")
    return check_page(demo, page, "node.yml")


def test_adopt():
    with Demo() as demo:
        demo.up()
        of_a_file(demo)
        take_over(demo, of_running_pm2s(demo))
        demo.stop()


if __name__ == "__main__":
    run(test_adopt)
