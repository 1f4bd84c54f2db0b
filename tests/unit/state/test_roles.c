#include "consensus/roles.h"
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LONG 100000

/* A cluster as text, one letter and signs per node, ids from 1; node 1 leads.
 * Letters: V voter, S standby, P spare, - not in the configuration.
 * Signs: x dead for long, ? dead for a moment, ! alive for a moment, r removed, d draining,
 * v s p w wanted as voter, standby, spare, witness; u the roster does not know it. */
static void read_node(const char **text, uint64_t id, struct roles_input *ret)
{
    char letter = *(*text)++;
    struct roles_node node = {
        .id = id, .alive = true, .liveness_ms = LONG, .score_known = true, .score = 90};
    bool known = true;
    for (; **text != ' ' && **text != '\0'; (*text)++) {
        switch (**text) {
        case 'x':
            node.alive = false;
            break;
        case '?':
            node.alive = false;
            node.liveness_ms = 10;
            break;
        case '!':
            node.liveness_ms = 10;
            break;
        case 'r':
            node.removed = true;
            break;
        case 'd':
            node.draining = true;
            break;
        case 'v':
            node.wanted = NODE_ROLE_VOTER;
            break;
        case 's':
            node.wanted = NODE_ROLE_STANDBY;
            break;
        case 'p':
            node.wanted = NODE_ROLE_SPARE;
            break;
        case 'w':
            node.wanted = NODE_ROLE_WITNESS;
            break;
        case 'l':
            node.score = 10;
            break;
        default:
            known = false;
        }
    }
    if (known) {
        ret->nodes[ret->node_count++] = node;
    }
    if (letter != '-') {
        ret->servers[ret->server_count++] =
            (struct consensus_server){id, letter == 'V'   ? CONSENSUS_VOTER
                                          : letter == 'S' ? CONSENSUS_STANDBY
                                                          : CONSENSUS_SPARE};
    }
}

static struct roles_input read_cluster(const char *text)
{
    struct roles_input input = {.leader = 1};
    for (uint64_t id = 1; *text != '\0'; id++) {
        read_node(&text, id, &input);
        while (*text == ' ') {
            text++;
        }
    }
    return input;
}

static void say(const struct roles_decision *decision, char ret[32])
{
    const char *roles[] = {"voter", "standby", "spare"};
    if (decision->action == ROLES_NONE) {
        (void)snprintf(ret, 32, "none");
    } else if (decision->action == ROLES_HAND_OVER) {
        (void)snprintf(ret, 32, "hand over");
    } else if (decision->what == CONSENSUS_ASSIGN) {
        (void)snprintf(ret, 32, "%d %s", (int)decision->id, roles[decision->role]);
    } else {
        (void)snprintf(ret, 32, "%d %s", (int)decision->id,
                       decision->what == CONSENSUS_ADD ? "add" : "remove");
    }
}

struct row {
    const char *cluster;
    const char *expected;
};

static void check(const struct row *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct roles_input input = read_cluster(table[i].cluster);
        struct roles_decision decision;
        roles_decide(&roles_config_default, &input, &decision);
        char got[32];
        say(&decision, got);
        if (strcmp(got, table[i].expected) != 0) {
            fail_msg("%s: %s, expected %s", table[i].cluster, got, table[i].expected);
        }
        if (decision.action != ROLES_NONE) {
            assert_true(decision.text[0] != '\0');
        }
    }
}

#define CHECK(table) check(table, sizeof(table) / sizeof((table)[0]))

static void what_is_as_wanted_stays(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V", "none"},
        {"V V V", "none"},
        {"V V V S", "none"},
        {"V V V V V", "none"},
        {"V V V V V S S S P", "none"},
        {"Vu Vu Vu", "none"}, /* founders before the roster's first entries */
        {"V Vu Vu", "none"},
        {"V S", "none"}, /* two voters are worse than one */
        {"V Vx V", "none"},
        {"V Vx V V V", "none"}, /* dead, but nobody to replace it */
        {"V V V Sd", "none"},
    };
    CHECK(table);
}

static void new_nodes_join_as_standby_then_spare(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V V V -", "4 add"},
        {"V V V P", "4 standby"},
        {"V V V P!", "none"}, /* alive for too short a time */
        {"V V V Px", "none"},
        {"V V V -r", "none"},
        {"V V V V V S S S P", "none"},
        {"V V V V V S S P P", "8 standby"},
        {"V V V V V S S Pl P", "9 standby"},
        {"V V V V V S S P Pp", "8 standby"},
        {"V V V Pp", "none"},
    };
    CHECK(table);
}

static void more_nodes_make_more_voters_by_twos(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V S S", "2 voter"},      {"V V S", "3 voter"},      {"V V Sx", "none"},
        {"V S Sx", "none"}, /* it would stop at two */
        {"V V V S S", "4 voter"},  {"V V V S Sv", "5 voter"}, {"V V V S Sw", "5 voter"},
        {"V V V S Sd", "none"},    {"V V V Sl S", "5 voter"}, {"V V V P S", "5 voter"},
        {"V V V V V S S", "none"}, /* five at most */
    };
    CHECK(table);
}

static void a_dead_voter_is_replaced_promotion_first(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V V Vx S", "4 voter"},
        {"V V? V S", "none"}, /* not dead for long enough */
        {"V V Vx V", "3 spare"},
        {"V V Vx P", "4 voter"},
        {"V Vx Vx S", "none"}, /* one of three: no quorum to change anything */
        {"V V V Vx Vx S", "6 voter"},
        {"V V V Vx V V", "4 spare"},
        {"V V V Vx Vx V V", "5 spare"},
        {"V V Vx Vx V Sd", "none"},
        {"V V Vx Ss", "none"},
        {"V V V V", "4 standby"}, /* the dead one came back before it was demoted */
        {"V Vl V V", "2 standby"},
        {"V V V? V", "none"},
        {"V V V V!", "none"},
    };
    CHECK(table);
}

static void never_below_three_voters_or_a_quorum(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V V Vxs", "none"}, /* wanted as standby, but there are only three */
        {"V V Vs", "none"},           {"V V Vs S", "4 voter"}, {"V V Vs V", "3 standby"},
        {"V V Vp V", "3 spare"},      {"V Vx Vx Vs", "none"}, /* two of four: nothing can be
                                                                 committed */
        {"V V Vs V? V?", "none"}, /* three of five online: two of four would be none */
        {"V V Vs Vx V", "3 standby"},
    };
    CHECK(table);
}

static void the_removed_go_and_the_leader_hands_over_first(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V V V Sr", "4 remove"},
        {"V V V Pxr", "4 remove"},
        {"V V Vr", "3 remove"},
        {"V V Vr S", "4 voter"},
        {"V V Vr V", "3 remove"},
        {"V V Vxr", "3 remove"},
        {"V Vr", "2 remove"},
        {"V Vxr", "none"},
        {"V Vx Vr", "none"}, /* without it one of two would be online */
        {"Vr V V", "hand over"},
        {"Vr V?", "none"},
        {"Vr", "none"},
        {"Vs V V S", "hand over"},
        {"Vr V Vr", "3 remove"},
        {"Vr V Vx Sr", "4 remove"},
        {"Vr V Vx", "hand over"},
        {"Vs V V V", "hand over"},
        {"Vs V Vs V", "3 standby"},
        {"Vs Vd Vd", "none"}, /* nobody could lead and stay: it would come back */
        {"Vs Vs Vs", "none"},
        {"Vr Vw Vs", "none"},
    };
    CHECK(table);
}

static void standbys_are_kept_alive(void **unused)
{
    (void)unused;
    static const struct row table[] = {
        {"V V V V V Sx S S P", "6 spare"}, {"V V V V V S? S S P", "none"},
        {"V V V V V Sx S S Px", "none"},   {"V V V V V S S S S", "9 spare"},
        {"V V V V V Sx S S", "none"}, /* nobody waits for its place */
        {"V V V Sp", "4 spare"},
    };
    CHECK(table);
}

static void nothing_is_decided_during_a_change_or_by_a_stranger(void **unused)
{
    (void)unused;
    struct roles_input input = read_cluster("V V V P");
    struct roles_decision decision;
    input.changing = true;
    roles_decide(&roles_config_default, &input, &decision);
    assert_int_equal(decision.action, ROLES_NONE);
    input.changing = false;
    input.leader = 9;
    roles_decide(&roles_config_default, &input, &decision);
    assert_int_equal(decision.action, ROLES_NONE);
}

/* ---- any cluster: the rules hold at every step, and the steps come to an end ---- */

static size_t online_voters(const struct roles_input *input, size_t *ret_voters)
{
    size_t online = 0;
    *ret_voters = 0;
    for (size_t i = 0; i < input->server_count; i++) {
        if (input->servers[i].role == CONSENSUS_VOTER) {
            (*ret_voters)++;
            for (size_t j = 0; j < input->node_count; j++) {
                online += input->nodes[j].id == input->servers[i].id && input->nodes[j].alive;
            }
        }
    }
    return online;
}

static void perform(struct roles_input *input, const struct roles_decision *decision)
{
    if (decision->what == CONSENSUS_ADD) {
        input->servers[input->server_count++] =
            (struct consensus_server){decision->id, CONSENSUS_SPARE};
        return;
    }
    for (size_t i = 0; i < input->server_count; i++) {
        if (input->servers[i].id == decision->id) {
            if (decision->what == CONSENSUS_REMOVE) {
                input->servers[i] = input->servers[--input->server_count];
            } else {
                input->servers[i].role = decision->role;
            }
            return;
        }
    }
    fail_msg("a change of a server that is not there");
}

static struct roles_input random_cluster(struct rng *rng)
{
    struct roles_input input = {.leader = 1};
    size_t count = 1 + rng_below(rng, 12);
    for (uint64_t id = 1; id <= count; id++) {
        bool leader = id == 1;
        input.nodes[input.node_count++] = (struct roles_node){
            .id = id,
            .removed = !leader && rng_below(rng, 8) == 0,
            .draining = rng_below(rng, 8) == 0,
            .wanted = rng_below(rng, 3) == 0 && !leader ? (enum node_role)rng_below(rng, 5)
                                                        : NODE_ROLE_AUTO,
            .alive = leader || rng_below(rng, 4) != 0,
            .liveness_ms = (int64_t)rng_below(rng, 60000),
            .score_known = rng_below(rng, 4) != 0,
            .score = (double)rng_below(rng, 100)};
        if (leader || rng_below(rng, 6) != 0) {
            enum consensus_role role =
                leader ? CONSENSUS_VOTER : (enum consensus_role)rng_below(rng, 3);
            input.servers[input.server_count++] = (struct consensus_server){id, role};
        }
    }
    return input;
}

static void any_cluster_settles_without_breaking_a_rule(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 31);
    int steps = 0;
    for (int round = 0; round < 4000; round++) {
        struct roles_input input = random_cluster(&rng);
        for (int step = 0;; step++) {
            assert_true(step < 60);
            size_t voters;
            (void)online_voters(&input, &voters);
            struct roles_decision decision;
            roles_decide(&roles_config_default, &input, &decision);
            if (decision.action != ROLES_CHANGE) {
                break;
            }
            assert_true(decision.what == CONSENSUS_ADD || decision.id != input.leader);
            perform(&input, &decision);
            size_t voters_after;
            size_t online_after = online_voters(&input, &voters_after);
            if (voters_after != voters) {
                assert_true(online_after >= voters_after / 2 + 1);
                assert_true(voters_after <= roles_config_default.voters + 1 ||
                            voters_after < voters);
                assert_true(voters_after > voters || voters_after >= 3 ||
                            decision.what == CONSENSUS_REMOVE);
            }
            steps++;
        }
    }
    assert_true(steps > 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_as_wanted_stays),
        cmocka_unit_test(new_nodes_join_as_standby_then_spare),
        cmocka_unit_test(more_nodes_make_more_voters_by_twos),
        cmocka_unit_test(a_dead_voter_is_replaced_promotion_first),
        cmocka_unit_test(never_below_three_voters_or_a_quorum),
        cmocka_unit_test(the_removed_go_and_the_leader_hands_over_first),
        cmocka_unit_test(standbys_are_kept_alive),
        cmocka_unit_test(nothing_is_decided_during_a_change_or_by_a_stranger),
        cmocka_unit_test(any_cluster_settles_without_breaking_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
