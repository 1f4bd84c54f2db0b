#!/usr/bin/python3 -B
"""A guarded primary and its backups, which write under one name: its host cut off, frozen, killed.
A backup takes over, the primary comes back with its host, and no two ever run at once."""

from faults import HERE, World, boot_s, check, kill, main, process_state, wait_until

NAME = "job"
# Longer than a backup waits: only the exclusion keeps it from starting beside the primary, which
# runs until the end of its grant.
EXTRA = "leadership: {handover_below: 0}\ngrants: {ttl: 11s}\n"
DUTIES = ("pm2/job", "pm2/job-standard", "pm2/job-enhanced")


class GuardedWorld(World):
    """Nothing but one primary on n1, under the guard, and what stands in for it."""

    @property
    def exclusive(self):
        return (NAME,)

    def pm2_config(self, node):
        def process(role, more):
            words = f'"{self.writes}", {node.name}, {role}, {NAME}'
            return (f"script: \"{HERE}/worker.py\", args: [{words}], cwd: \"{self.folder}\", "
                    f"settle: 1s, start_within: 15s, retry_after: 5s{more}}}\n")
        backup = f", stands_in_for: {NAME}, when_unreachable: {{start_after: 2s}}"
        return (f"  pm2:\n    homes: [\"{node.home()}\"]\n    primaries:\n"
                f"      - {{name: {NAME}, on: [n1], guarded: true, " + process("primary", "") +
                "    backups:\n"
                "      - {name: job-standard, " + process("backup", backup) +
                "      - {name: job-enhanced, tier: enhanced, " + process("always", backup))

    def all_run(self, among=None):
        """One writes, and all of `among` say that it is held and no other one is; when n1 is among
        them it is the primary."""
        held = set()
        for node in among or self.nodes:
            answer = node.cli("duty", "list", timeout="3s")
            check(answer.exit == 0, f"duty list on {node.name}: {answer}")
            held |= {(row["id"], row["node"], row["state"]) for row in answer.data
                     if row["id"] in DUTIES and row["node"] is not None}
        check(len(held) == 1, f"held: {held}")
        (duty, place, state), = held
        check(state == "running" and place in [node.name for node in among or self.nodes], f"{held}")
        check({node for node, _ in self.one_writer(NAME)} == {place}, f"{held} {self.writing(NAME)}")
        check(among is not None or (duty, place) == (DUTIES[0], "n1"), f"no primary: {held}")
        return True


def away(world, do, undo):
    """n1 is away while `do` is not undone: another node works."""
    node = world["n1"]
    at = boot_s()
    do(node)
    world.came_back(among=world.others(node), patience_s=60)
    took_s = boot_s() - at
    world.keeps(lambda: not any(place == "n1" for place, _ in world.writing(NAME)), 1,
                "the primary runs while its host is away")
    undo(node)
    return f"a backup works after {took_s:.1f} s"


def cut(world, outgoing, incoming):
    return away(world, lambda node: world.network.cut(world.number(node), outgoing=outgoing,
                                                      incoming=incoming),
                lambda node: world.network.heal())


def host_cut(world):
    return cut(world, True, True)


def host_cannot_send(world):
    return cut(world, True, False)


def host_cannot_hear(world):
    return cut(world, False, True)


def node_frozen(world):
    stopped = []
    return away(world, lambda node: stopped.extend(world.freeze(node, [node.worker()])),
                lambda node: node.thaw(stopped))


def whole_host_frozen(world):
    """The primary and its guard sleep too, past their deadline."""
    stopped = []

    def wake(node):
        world.slept(node)
        node.thaw(stopped)
    return away(world, lambda node: stopped.extend(world.freeze(node, world.all_pids(node))), wake)


def node_killed(world):
    return away(world, lambda node: node.kill_both(), lambda node: node.start())


def guard_frozen_and_cut(world):
    """One of the guard's two processes stands still and the host is cut off: the other ends it."""
    (_, pid), = world.one_writer(NAME)
    stopped = []

    def do(node):
        stopped.extend(world.freeze(node, [world.guard_of(pid)[0]]))
        world.network.cut(world.number(node))

    def undo(node):
        check(process_state(pid) in (None, "Z"), "it lives")
        node.thaw(stopped)
        world.network.heal()
    return away(world, do, undo)


def leader_killed_meanwhile(world):
    """The host is cut off and the leader dies at the same time, when that is another node."""
    leader = world.wait_leader()
    if leader is world["n1"]:
        leader.cli("leader", "transfer", "n2")
        leader = world.wait_leader(other_than=leader)

    def do(node):
        world.network.cut(world.number(node))
        kill(leader.worker())
        wait_until(lambda: leader.worker(), "the parent started it again")
    return away(world, do, lambda node: world.network.heal())


if __name__ == "__main__":
    main([host_cut, host_cannot_send, host_cannot_hear, node_frozen, whole_host_frozen, node_killed,
          guard_frozen_and_cut, leader_killed_meanwhile],
         GuardedWorld, extra=EXTRA)
