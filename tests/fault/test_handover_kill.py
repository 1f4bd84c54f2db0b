#!/usr/bin/python3 -B
"""A process dies at every step of a handover: a sweep of kill -9 from the instant of the request to
12 ms after it, of the old leader, the target and the third node in turn, of the node's process
alone and of parent and node together."""

from faults import Skip, boot_ms, check, history, kill, main, wait_until

try:
    import msgpack
    import zmq
except ImportError:
    zmq = None

STEPS = 20
STEP_MS = 0.6
WHOM = ("old leader", "target", "third")


class Request:
    """`leader transfer`, asked for by one message on a connection that stands already."""

    def __init__(self, leader, target):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 5000)
        self.socket.connect(f"ipc://{leader.folder}/control.sock")
        self.call("version", {})  # connected, and the node's loop is awake
        self.target = target.name

    def call(self, verb, arguments, answer=True):
        self.socket.send_multipart([b"", msgpack.packb(
            {"v": 1, "id": 1, "verb": verb, "args": arguments})])
        return self.socket.recv_multipart() if answer else None

    def send(self):
        self.call("leader transfer", {"node": self.target}, answer=False)
        return boot_ms()

    def close(self):
        self.socket.close()


def strike(world, who, delay_ms, whole):
    """One handover with a kill in it: (cause of the next leader, ms from the handover's begin)."""
    leader = world.wait_leader()
    target, third = world.others(leader)
    victim = dict(zip(WHOM, (leader, target, third)))[who]
    term = leader.status()["term"]
    worker = victim.worker()
    pids = [victim.parent(), worker] if whole else [worker]
    request = Request(leader, target)
    sent_ms = request.send()
    while boot_ms() < sent_ms + delay_ms:
        pass
    killed_ms = boot_ms()
    for pid in pids:
        kill(pid)
    request.close()
    if whole:
        wait_until(lambda: victim.reap() or victim.parent() is None, "it is dead", pause_s=0.005)
        victim.start()
    wait_until(lambda: victim.worker() not in (None, worker), "it is started again")
    now = world.wait_leader()
    terms = now.status()["term"] - term
    check(terms < 12, f"{terms} terms for one handover with a kill")
    rows = sorted((row for row in history(now) if row["term"] > term), key=lambda row: row["term"])
    begun = [event["boot_ms"] for event in world.recorder.kinds("leader.handover",
                                                               since_ms=sent_ms - 5)]
    return rows[0]["cause"] if rows else "none", killed_ms - begun[0] if begun else None


def sweep(world):
    if zmq is None:
        raise Skip("needs python3-zmq and python3-msgpack")
    told, distances = {}, []
    for step in range(STEPS):
        for i, who in enumerate(WHOM):
            cause, distance_ms = strike(world, who, step * STEP_MS, (step + i) % 2 == 1)
            told.setdefault(who, {}).setdefault(cause, 0)
            told[who][cause] += 1
            if distance_ms is not None:
                distances.append(distance_ms)
    check(told["old leader"].keys() != {"transfer"}, f"no kill met a handover under way: {told}")
    within = sum(-1 <= distance <= 4 for distance in distances)
    return (f"{STEPS * len(WHOM)} kills 0 to {(STEPS - 1) * STEP_MS:.0f} ms after the request, "
            f"{within} of them within 4 ms of the handover's begin; the next leader came by {told}")


if __name__ == "__main__":
    main([sweep], asked=("transfer",))
