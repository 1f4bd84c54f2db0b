#!/usr/bin/python3 -B
"""A real PM2's primary stopped and killed; its backup starts, moves, ends, and never runs twice."""

import datetime
import signal

import writes
from cluster import alive, boot_s, check, kill, process_state, run, say, wait_until
from demo import ALWAYS, BACKUP, OVERLAY, PRIMARY, SETTLE_S, Demo

BOTH = (BACKUP, ALWAYS)
# test_mending.py tests that; here an errored primary stays so.
NO_MENDING = OVERLAY + "managers: {pm2: {mend: false}}\n"


def others(demo, node):
    return [other for other in demo.nodes if other is not node]


def moved(demo, pid, node, at):
    """The backup runs on another node; how long nobody wrote, and the new (pid, node)."""
    def elsewhere():
        found = demo.worker_of(BACKUP)
        check(found[0] != pid and found[1] is not node, f"still at {found[0]} on {found[1].name}")
        return found
    found = wait_until(elsewhere, "the backup runs on another node")
    check(not alive(pid), f"the old backup {pid} lives")
    first = wait_until(lambda: demo.first_write_s(BACKUP, at, found[0]),
                       f"the backup writes on {found[1].name}")
    return first - demo.last_write_s(BACKUP, pid=pid), found


def seconds_of(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def told_by_all(demo, node):
    """`backup list` and `primary list` know on every node what runs where."""
    for asked in demo.nodes:
        answer = asked.cli("backup", "list")
        check(answer.exit == 0, f"{answer}")
        row = {row["name"]: row for row in answer.data}[BACKUP]
        check(row["state"] == "running" and row["node"] == node.name, f"{asked.name}: {row}")
        check(row["stands_in_for"] == PRIMARY and row["mode"] == "standby", f"{row}")
        answer = asked.cli("primary", "list")
        check(answer.exit == 0, f"{answer}")
        row = {row["name"]: row for row in answer.data}[PRIMARY]
        check(row["state"] == "down" and row["node"] == "n1" and row["backups"] == [BACKUP],
              f"{asked.name}: {row}")
    return True


def stopped_and_started(demo):
    node = demo["n1"]
    at = boot_s()
    demo.pm2(node, "stop", PRIMARY)
    silent = demo.last_write_s(PRIMARY)
    found = demo.settled(BOTH)
    started = demo.first_write_s(BACKUP, at)
    place = found[BACKUP][1]
    wait_until(lambda: told_by_all(demo, place), "all nodes tell where the backup runs")
    down = wait_until(lambda: demo.events("primary.down"), "the event of the primary's end")
    starts = [event for event in demo.events("backup.started") if BACKUP in event["message"]]
    check(len(down) == 1 and down[0]["node"] == "n1" and "stopped" in down[0]["message"], f"{down}")
    check(len(starts) == 1 and starts[0]["node"] == place.name, f"{starts}")

    at = boot_s()
    demo.pm2(node, "start", PRIMARY)
    demo.settled((ALWAYS,), idle=(BACKUP,))
    again = demo.first_write_s(PRIMARY, at)
    ended = demo.last_write_s(BACKUP)
    check(ended > again, "the backup had gone when the primary wrote again")
    gone = wait_until(lambda: [event for event in demo.events("backup.stopped") if BACKUP in
                               event["message"]], "the event of the backup's end")[-1]
    back = demo.events("primary.up")[-1]
    check(seconds_of(gone) - seconds_of(back) >= SETTLE_S,
          f"the backup gave way before the settle time of {SETTLE_S} s: {back} {gone}")
    say(f"pm2 stop: the backup writes {1000 * (started - silent):.0f} ms after the primary's last "
        f"line, on {place.name}; it ends {ended - again:.2f} s after the primary's return")


def told_as(demo, reason):
    rows = demo["n1"].cli("primary", "list").data
    row = {row["name"]: row for row in rows}[PRIMARY]
    check(row["state"] == "down" and row["reason"] == reason, f"{row}")
    return row


def killed_until_errored(demo):
    """kill -9 each life of the primary at once, until PM2 calls it errored and starts no more."""
    kills = 0
    at = boot_s()

    def gave_up():
        nonlocal kills
        deadline = boot_s() + 1
        while boot_s() < deadline:
            for pid in demo.workers(PRIMARY):
                kill(pid)
                kills += 1
                wait_until(lambda pid=pid: not alive(pid), "it is dead", pause_s=0.005)
                deadline = boot_s() + 1
            check(kills < 100, f"PM2 goes on after {kills} kills")
        return demo.pm2_status(demo["n1"], PRIMARY) == "errored"

    wait_until(gave_up, "PM2 gives up")
    found = demo.settled(BOTH)
    check(kills > 10, f"PM2 gave up after {kills} kills")  # its default is 16 restarts
    wait_until(lambda: told_as(demo, "errored"), "it is told as errored")
    say(f"kill -9 of the primary {kills} times in {boot_s() - at:.1f} s: errored, its backup runs on "
        f"{found[BACKUP][1].name}")


def node_killed_whole(demo):
    pid, node = demo.worker_of(BACKUP)
    at = boot_s()
    node.kill_both()
    silent, found = moved(demo, pid, node, at)
    demo.settled(BOTH, among=others(demo, node))
    node.start()
    check(demo.settled(BOTH)[BACKUP] == found, "the dead node's return moved the backup")
    say(f"kill -9 of {node.name}, parent and node: the backup writes on {found[1].name} after "
        f"{silent:.2f} s of silence")


def node_process_killed(demo):
    pid, node = demo.worker_of(BACKUP)
    worker = node.worker()
    kill(worker)
    wait_until(lambda: node.worker() not in (None, worker), "the parent started it again")
    now = demo.settled(BOTH)[BACKUP]
    say(f"kill -9 of the node process of {node.name}: the backup " +
        ("went on" if now[0] == pid else f"runs on {now[1].name} again" if now[1] is node else
         f"moved to {now[1].name}"))


def frozen(demo):
    pid, node = demo.worker_of(BACKUP)
    at = boot_s()
    process = node.freeze()
    silent, found = moved(demo, pid, node, at)
    check(process_state(process) == "T", "the node is not frozen any more")
    demo.settled(BOTH, among=others(demo, node))
    kill(process, signal.SIGCONT)
    demo.leader()
    check(demo.settled(BOTH)[BACKUP] == found, "the thawed node moved the backup")
    check(node.worker() == process, "the thawed node process did not live on")
    say(f"SIGSTOP of {node.name}: its guard ended the backup, {found[1].name} wrote {silent:.2f} s "
        "later; thawed, the node runs nothing twice")


def daemon_killed(demo):
    pid, node = demo.worker_of(BACKUP)
    others_of = {each.name: (each.parent(), each.worker()) for each in demo.nodes}
    gods = {each.name: demo.god(each) for each in others(demo, node)}
    always = demo.worker_of(ALWAYS)
    god = demo.god(node)
    at = boot_s()
    kill(god)
    silent, found = moved(demo, pid, node, at)
    after = demo.settled(BOTH)
    check({each.name: (each.parent(), each.worker()) for each in demo.nodes} == others_of,
          "a node process was touched")
    check({each.name: demo.god(each) for each in others(demo, node)} == gods,
          "another PM2 daemon was touched")
    if always[1] is not node:
        check(after[ALWAYS] == always, f"{ALWAYS} on {always[1].name} was touched")
    wait_until(lambda: [event for event in demo.events("pm2.down") if event["node"] == node.name],
               "the event of the daemon's end")
    wait_until(lambda: [event for event in demo.events("pm2.revived")
                        if event["node"] == node.name], "the daemon was brought back")
    check(demo.god(node) not in (None, god), "no new PM2 daemon")
    demo.up()  # and the quickstart finds nothing to start
    check(demo.settled(BOTH)[BACKUP] == found, "the daemon's return moved the backup")
    say(f"kill -9 of the PM2 daemon of {node.name}: the backup writes on {found[1].name} after "
        f"{silent:.2f} s of silence, everything else went on")


def stopped(demo):
    demo.pm2(demo["n1"], "stop", PRIMARY)
    demo.settled(BOTH)


def returned(demo):
    demo.pm2(demo["n1"], "start", PRIMARY)
    demo.settled((ALWAYS,), idle=(BACKUP,))
    check(len(demo.workers(PRIMARY)) == 1, "the primary does not run once")


def restarted(demo):
    """By a person: what PM2 counted before does not make it a crash loop any more."""
    at = boot_s()
    demo.pm2(demo["n1"], "restart", PRIMARY)
    demo.settled((ALWAYS,), idle=(BACKUP,))
    say(f"pm2 restart of the errored primary: the backup has ended after {boot_s() - at:.1f} s")


def begun(demo):
    demo.up()
    demo.settled((ALWAYS,), idle=(BACKUP,))


def ended(demo):
    demo.stop()
    check(not demo.own_pids(), "something is left running")


def backup():
    writes.self_test()
    with Demo(overlay=NO_MENDING) as demo:
        for step in (begun, stopped_and_started, stopped, node_killed_whole, node_process_killed, frozen,
                     daemon_killed, returned, killed_until_errored, restarted, ended):
            at = boot_s()
            step(demo)
            say(f"  {step.__name__}: {boot_s() - at:.1f} s")
        files = demo.check_writes()
        lives = len(writes.writers(files, BACKUP))
        check(lives >= 6, f"the log knows {lives} backups: it cannot show what it is asked")
        say(f"{lives} lives of {BACKUP}, never two at once; the closest "
            f"{writes.closest_ms(files, BACKUP):.0f} ms apart")


if __name__ == "__main__":
    run(backup)
