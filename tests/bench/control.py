#!/usr/bin/python3 -B
"""How quickly a node answers: status over its Unix socket, and the command line as a process."""


import rows
from nodes import BUILD, run_timed
from trials import Part, begin, program, repeat, with_cluster

STATUS, CLI = "status", "cli"
ROUNDS = 5
RATE_GOAL = 10000
VERBS = ("status", "leader")  # the large document and a small one


def latency(cluster, note, options):
    leader, _ = cluster.settle()
    follower = cluster.others(leader)[0]
    count = "500" if options.quick else "10000"
    for verb in VERBS:
        found = repeat(1 if options.quick else ROUNDS, verb, lambda v=verb: program(
            "bench_status_latency", f"ipc://{follower.folder}/control.sock", count, v)["requests"])
        goal = verb == "status"
        rows.emit(rows.make(STATUS, f"`{verb}` over one open connection, of {count} requests",
                            [one["p50_us"] for one in found], "us", trials=len(found),
                            worst=max((one["worst_us"] for one in found), default=None),
                            goal=100 if goal else None, note=note))
        rows.emit(rows.make(STATUS, f"`{verb}`, one after the other on one connection",
                            [one["per_second"] for one in found], "1/s", better="higher",
                            goal=RATE_GOAL if goal else None, note=note))


def command_line(cluster, note, options):
    leader, _ = cluster.settle()
    follower = cluster.others(leader)[0]
    words = [f"{BUILD}/bin/understudy", "--dir", follower.folder, "status"]
    for what, command, goal in (("`understudy status` as a process", words, 6),
                                ("a process that asks no node: `understudy version`",
                                 [words[0], "version"], None),
                                ("a process that does nothing: /bin/true", ["/bin/true"], None)):
        times = []
        for _ in range(options.trials):
            code, took_s = run_timed(command)
            if code == 0:
                times.append(took_s * 1000)
        rows.emit(rows.make(CLI, what, times, "ms", goal=goal, note=note))


if __name__ == "__main__":
    chosen = begin(__doc__)
    part = Part()
    if rows.wanted(chosen, STATUS):
        part.run(STATUS, with_cluster, latency, chosen)
    if rows.wanted(chosen, CLI):
        part.run(CLI, with_cluster, command_line, chosen)
    part.exit()
