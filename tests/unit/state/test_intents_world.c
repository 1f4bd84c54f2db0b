/* Intents in a small world with everything that goes wrong: leaders that change, leases that end
 * and come back, nodes and managers that die between any two steps, messages, proposals and answers
 * of the other side that get lost. The outside counts the effects. Each run comes from one seed. */
#include "consensus/intents.h"
#include "node/base/rng.h"
#include "tests/unit/state/commands.h"

#define NODES 3
#define KEYS 12
#define OBJECTS 4
#define QUEUE 24
#define PENDING 32
#define MANAGER "m"
#define STEPS 1500
#define HEAL_STEPS 60000
#define SEEDS 400

/* ---- the outside ---- */

struct outside {
    char key[32];
    int object;
    enum intent_policy policy;
    bool can_tell;
    bool refuses;
    int effects;
};

/* ---- a manager process ---- */

enum phase { IDLE, WANTED, VERIFYING, PERFORMING, TELLING };

struct wish {
    enum phase phase;
    uint64_t ticket;
    uint64_t begun; /* ticket under which it does what it does */
    enum intent_verdict verdict;
    bool answer_lost;
};

/* ---- messages ---- */

enum kind { WANT, VERIFIED, PERFORMED, STEP, LEFT_OPEN };

struct message {
    enum kind kind;
    int key;
    uint64_t ticket;
    enum intent_step step;
    enum intent_evidence evidence;
    enum intent_verdict verdict;
    bool answer_lost;
};

struct queue {
    size_t count;
    struct message items[QUEUE];
};

struct node {
    struct intents *intents;
    uint64_t life;
    uint64_t next_ticket;
    struct wish wishes[KEYS];
    struct queue up;
    struct queue down;
};

struct proposal {
    struct command command;
    uint64_t token;
};

struct world {
    struct rng rng;
    struct intents_switches off;
    struct state *state;
    uint64_t term;
    int leader; /* -1: none */
    bool acting;
    bool healed;
    struct node nodes[NODES];
    struct outside outside[KEYS];
    size_t pending_count;
    struct proposal pending[PENDING]; /* of the leader */
    uint64_t next_token;
    char violation[160]; /* empty: none */
};

static bool chance(struct world *world, uint64_t percent)
{
    return rng_below(&world->rng, 100) < percent;
}

/* What goes wrong only until everything heals. */
static bool fault(struct world *world, uint64_t percent)
{
    return !world->healed && chance(world, percent);
}

static void violate(struct world *world, const char *what, int key)
{
    if (world->violation[0] == '\0') {
        (void)snprintf(world->violation, sizeof(world->violation), "%s (%s)", what,
                       world->outside[key].key);
    }
}

static struct node *leader_of(struct world *world)
{
    return &world->nodes[world->leader];
}

/* ---- log ---- */

static void commit(struct world *world, uint64_t term, struct command command)
{
    struct mp_writer writer;
    struct state_effect effect;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    command.wall_ms = 1700000000000;
    assert_int_equal(command_encode(&command, &writer, NULL), 0);
    assert_int_equal(state_apply(world->state, state_index(world->state) + 1, term,
                                 writer.buffer.data, writer.buffer.length, &effect),
                     0);
    mp_writer_deinit(&writer);
}

static void propose(struct world *world, int key, const struct command *command)
{
    if (world->pending_count == PENDING || fault(world, 5)) {
        return; /* it was not taken */
    }
    struct proposal *proposal = &world->pending[world->pending_count++];
    *proposal = (struct proposal){.command = *command, .token = ++world->next_token};
    intents_note_proposed(leader_of(world)->intents, world->outside[key].key, proposal->token);
}

static void apply_first(struct world *world)
{
    if (world->pending_count == 0) {
        return;
    }
    struct proposal proposal = world->pending[0];
    memmove(&world->pending[0], &world->pending[1], (world->pending_count - 1) * sizeof(proposal));
    world->pending_count--;
    commit(world, world->term, proposal.command);
    intents_note_outcome(leader_of(world)->intents, proposal.token);
}

/* ---- queues: in order; any message may get lost ---- */

static void post(struct world *world, struct queue *queue, struct message message)
{
    if (queue->count < QUEUE && !fault(world, 10)) {
        queue->items[queue->count++] = message;
    }
}

static bool take(struct queue *queue, struct message *ret)
{
    if (queue->count == 0) {
        return false;
    }
    *ret = queue->items[0];
    queue->count--;
    memmove(&queue->items[0], &queue->items[1], queue->count * sizeof(*ret));
    return true;
}

/* ---- the node's side ---- */

static struct command_intent_open wish_of(const struct world *world, int key)
{
    const struct outside *outside = &world->outside[key];
    struct command_intent_open wish = {.policy = outside->policy,
                                       .keep_until_wall_ms = 1900000000000};
    copy_text(wish.key, sizeof(wish.key), outside->key);
    copy_text(wish.manager, sizeof(wish.manager), MANAGER);
    (void)snprintf(wish.object, sizeof(wish.object), "object-%d", outside->object);
    return wish;
}

static void node_takes(struct world *world, const struct message *message)
{
    struct node *node = leader_of(world);
    const char *key = world->outside[message->key].key;
    struct command_intent_open wish = wish_of(world, message->key);
    struct command command;
    enum intent_step step = INTENT_STEP_WAIT;
    switch (message->kind) {
    case WANT:
        step = intents_want(node->intents, world->state, &wish, message->ticket, &command);
        break;
    case VERIFIED:
        step = intents_verified(node->intents, world->state, key, message->ticket,
                                message->evidence, "evidence", &command);
        break;
    case PERFORMED:
        step = intents_performed(node->intents, world->state, key, message->ticket,
                                 message->verdict, message->answer_lost, "outcome", &command);
        break;
    case STEP:
    case LEFT_OPEN:
        fail();
    }
    if (step == INTENT_STEP_PROPOSE) {
        propose(world, message->key, &command);
        step = INTENT_STEP_WAIT;
    }
    post(world, &node->down,
         (struct message){
             .kind = STEP, .key = message->key, .ticket = message->ticket, .step = step});
}

static int number_of(const struct world *world, const char *key)
{
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(world->outside[i].key, key) == 0) {
            return i;
        }
    }
    fail();
    return -1;
}

static void remind(struct world *world)
{
    struct node *node = leader_of(world);
    const struct state_intent *row = intents_left_open(node->intents, world->state, MANAGER, NULL);
    for (; row != NULL; row = intents_left_open(node->intents, world->state, MANAGER, row)) {
        post(world, &node->down,
             (struct message){.kind = LEFT_OPEN, .key = number_of(world, row->key)});
    }
    intents_look_again(node->intents);
}

/* ---- the manager's side ---- */

static void say_wanted(struct world *world, struct node *node, int key)
{
    struct wish *wish = &node->wishes[key];
    if (wish->phase == IDLE) {
        *wish = (struct wish){.phase = WANTED, .ticket = ++node->next_ticket};
    }
    if (wish->phase == WANTED) {
        post(world, &node->up, (struct message){.kind = WANT, .key = key, .ticket = wish->ticket});
    } else if (wish->phase == TELLING) {
        post(world, &node->up,
             (struct message){.kind = PERFORMED,
                              .key = key,
                              .ticket = wish->begun,
                              .verdict = wish->verdict,
                              .answer_lost = wish->answer_lost});
    }
}

static void begin(struct node *node, struct wish *wish, enum phase phase)
{
    wish->phase = phase;
    wish->begun = wish->ticket;
    wish->ticket = ++node->next_ticket;
}

static void manager_takes(struct world *world, const struct message *message)
{
    struct node *node = leader_of(world);
    struct wish *wish = &node->wishes[message->key];
    if (message->kind == LEFT_OPEN) {
        say_wanted(world, node, message->key);
        return;
    }
    if (message->step == INTENT_STEP_CLOSED && wish->phase != PERFORMING) {
        *wish = (struct wish){0};
    }
    if (wish->phase != WANTED || message->ticket != wish->ticket) {
        return;
    }
    if (message->step == INTENT_STEP_VERIFY) {
        begin(node, wish, VERIFYING);
    } else if (message->step == INTENT_STEP_PERFORM) {
        begin(node, wish, PERFORMING);
    }
}

static void check_effect(struct world *world, int key)
{
    struct outside *outside = &world->outside[key];
    const struct state_intent *row = state_intent_by_key(world->state, outside->key);
    if (row == NULL) {
        violate(world, "an effect without its intent", key);
        return;
    }
    if (row->state == INTENT_DONE) {
        violate(world, "an effect after done", key);
    }
    for (int i = 0; i < KEYS; i++) {
        const struct state_intent *other = state_intent_by_key(world->state, world->outside[i].key);
        if (other != NULL && other->state != INTENT_DONE && i != key &&
            strcmp(other->object, row->object) == 0 && other->opened_index < row->opened_index) {
            violate(world, "an effect while an older one on its object is open", key);
        }
    }
    bool at_most_once = outside->can_tell || outside->policy != INTENT_RETRY;
    if (outside->effects > 1 && at_most_once) {
        violate(world, "an effect happened twice", key);
    }
}

/* The request goes out; it, or its answer, may get lost. */
static void perform(struct world *world, struct wish *wish, int key)
{
    struct outside *outside = &world->outside[key];
    bool request_lost = fault(world, 15);
    if (!request_lost && !outside->refuses) {
        outside->effects++;
        check_effect(world, key);
    }
    wish->phase = TELLING;
    wish->answer_lost = request_lost || fault(world, 25);
    wish->verdict = outside->refuses ? INTENT_REFUSED : INTENT_HAPPENED;
}

static void verify(struct world *world, struct node *node, struct wish *wish, int key)
{
    const struct outside *outside = &world->outside[key];
    enum intent_evidence evidence = outside->effects > 0 ? INTENT_IT_HAPPENED : INTENT_IT_DID_NOT;
    if (!outside->can_tell) {
        evidence = INTENT_CANNOT_TELL;
    }
    if (chance(world, 15)) {
        evidence = INTENT_ASK_LATER;
    }
    wish->phase = WANTED;
    post(world, &node->up,
         (struct message){
             .kind = VERIFIED, .key = key, .ticket = wish->begun, .evidence = evidence});
}

static void manager_works(struct world *world)
{
    struct node *node = leader_of(world);
    int key = (int)rng_below(&world->rng, KEYS);
    struct wish *wish = &node->wishes[key];
    if (wish->phase == PERFORMING) {
        perform(world, wish, key);
    } else if (wish->phase == VERIFYING) {
        verify(world, node, wish, key);
    } else {
        /* Once all is well, what was left open is wanted only when the manager is told of it. */
        bool opened = state_intent_by_key(world->state, world->outside[key].key) != NULL;
        if (wish->phase != IDLE || !world->healed || !opened) {
            say_wanted(world, node, key);
        }
        if (wish->phase == TELLING && wish->answer_lost) {
            wish->phase = WANTED; /* told once; a wish with the new ticket says the same */
        }
    }
}

/* ---- what goes wrong ---- */

static void forget_manager(struct node *node)
{
    memset(node->wishes, 0, sizeof(node->wishes));
    node->up.count = 0;
    node->down.count = 0;
}

static void restart_manager(struct world *world)
{
    struct node *node = leader_of(world);
    forget_manager(node);
    node->next_ticket = 0;
    intents_manager_restarted(node->intents, MANAGER);
}

static void lease_ends(struct world *world)
{
    struct node *node = leader_of(world);
    intents_end(node->intents);
    memset(node->wishes, 0, sizeof(node->wishes)); /* its messages may still be on their way */
    node->down.count = 0;
    world->acting = false;
}

static void lease_comes_back(struct world *world)
{
    intents_begin(leader_of(world)->intents, world->term);
    world->acting = true;
}

/* Of what the old leader proposed some is in the log, and the rest is not. */
static void leader_goes(struct world *world, bool crash)
{
    if (world->leader < 0) {
        return;
    }
    struct node *node = leader_of(world);
    lease_ends(world);
    for (size_t i = 0; i < world->pending_count; i++) {
        if (chance(world, 50)) {
            commit(world, world->term, world->pending[i].command);
        }
        intents_note_outcome(node->intents, world->pending[i].token);
    }
    world->pending_count = 0;
    forget_manager(node);
    if (crash) {
        intents_destroy(&node->intents);
        node->intents = intents_create(&world->off);
        node->next_ticket = 0;
        assert_non_null(node->intents);
    }
    world->leader = -1;
}

static void elect(struct world *world)
{
    world->leader = (int)rng_below(&world->rng, NODES);
    world->term++;
    lease_comes_back(world);
}

/* A person looks at what is parked, and gives it up, or has looked: it did not happen. */
static void settle_parked(struct world *world)
{
    for (size_t i = 0; i < state_intent_count(world->state); i++) {
        const struct state_intent *row = state_intent_at(world->state, i);
        if (row->state != INTENT_PARKED) {
            continue;
        }
        bool happened = world->outside[number_of(world, row->key)].effects > 0;
        struct command command = command_of(happened ? COMMAND_INTENT_DONE : COMMAND_INTENT_TAKE);
        char *key = happened ? command.intent_done.key : command.intent_take.key;
        copy_text(key, INTENT_KEY_SIZE, row->key);
        if (happened) {
            command.intent_done.verdict = INTENT_DROPPED;
        }
        commit(world, world->term, command);
        return;
    }
}

/* ---- a run ---- */

static void go_wrong(struct world *world)
{
    switch (rng_below(&world->rng, 5)) {
    case 0:
        leader_goes(world, false);
        return;
    case 1:
        leader_goes(world, true);
        return;
    case 2:
        lease_ends(world);
        return;
    default:
        restart_manager(world);
    }
}

static void step(struct world *world)
{
    struct message message;
    if (world->leader < 0) {
        elect(world);
        return;
    }
    if (!world->acting) {
        lease_comes_back(world);
        return;
    }
    if (fault(world, 4)) {
        go_wrong(world);
        return;
    }
    switch (rng_below(&world->rng, 16)) {
    case 0:
        remind(world);
        return;
    case 1:
        settle_parked(world);
        return;
    case 2:
    case 3:
    case 4:
        apply_first(world);
        return;
    case 5:
    case 6:
    case 7:
    case 8:
        if (take(&leader_of(world)->up, &message)) {
            node_takes(world, &message);
        }
        return;
    case 9:
    case 10:
    case 11:
    case 12:
        if (take(&leader_of(world)->down, &message)) {
            manager_takes(world, &message);
        }
        return;
    default:
        manager_works(world);
    }
}

static bool all_done(const struct world *world)
{
    for (int i = 0; i < KEYS; i++) {
        const struct state_intent *row = state_intent_by_key(world->state, world->outside[i].key);
        if (row == NULL || row->state != INTENT_DONE) {
            return false;
        }
    }
    return true;
}

static void check_end(struct world *world)
{
    for (int i = 0; i < KEYS; i++) {
        const struct outside *outside = &world->outside[i];
        const struct state_intent *row = state_intent_by_key(world->state, outside->key);
        if (row == NULL || row->state != INTENT_DONE) {
            violate(world, "never settled", i);
            continue;
        }
        bool known = outside->can_tell || outside->policy == INTENT_RETRY;
        if (known && outside->refuses && row->verdict != INTENT_REFUSED) {
            violate(world, "refused, and not said so", i);
        }
        if (known && !outside->refuses &&
            (outside->effects == 0 || row->verdict != INTENT_HAPPENED)) {
            violate(world, "it did not happen, or the record does not say so", i);
        }
        if (row->verdict == INTENT_HAPPENED && outside->effects == 0) {
            violate(world, "recorded, and it never happened", i);
        }
    }
}

static void make_outside(struct world *world)
{
    for (int i = 0; i < KEYS; i++) {
        struct outside *outside = &world->outside[i];
        (void)snprintf(outside->key, sizeof(outside->key), MANAGER "/key-%d", i);
        outside->object = (int)rng_below(&world->rng, OBJECTS);
        outside->policy = (enum intent_policy)rng_below(&world->rng, 3);
        outside->can_tell = chance(world, 60);
        outside->refuses = chance(world, 15);
    }
}

/* Runs one seed; ret_violation gets what went wrong, or "". */
static void run(uint64_t seed, struct intents_switches off, char *ret_violation, size_t size)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    rng_init(&world->rng, seed);
    world->off = off;
    world->leader = -1;
    world->state = state_create();
    assert_non_null(world->state);
    for (int i = 0; i < NODES; i++) {
        world->nodes[i].intents = intents_create(&off);
        assert_non_null(world->nodes[i].intents);
    }
    make_outside(world);
    for (int i = 0; i < STEPS && world->violation[0] == '\0'; i++) {
        step(world);
    }
    world->healed = true;
    for (int i = 0; i < HEAL_STEPS && world->violation[0] == '\0' && !all_done(world); i++) {
        step(world);
    }
    check_end(world);
    (void)snprintf(ret_violation, size, "%s", world->violation);
    for (int i = 0; i < NODES; i++) {
        intents_destroy(&world->nodes[i].intents);
    }
    state_destroy(&world->state);
    free(world);
}

static void no_effect_happens_twice_or_never(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        char violation[160];
        run(seed, (struct intents_switches){0}, violation, sizeof(violation));
        if (violation[0] != '\0') {
            fail_msg("seed %llu: %s", (unsigned long long)seed, violation);
        }
    }
}

/* Without one of the rules the same runs must show it. */
static void expect_tooth(const char *rule, struct intents_switches off, const char *expected)
{
    char violation[160] = "";
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, off, violation, sizeof(violation));
        if (strstr(violation, expected) != NULL) {
            return;
        }
    }
    fail_msg("without %s no seed shows \"%s\"; the last: \"%s\"", rule, expected, violation);
}

static void each_rule_is_needed(void **unused)
{
    (void)unused;
    expect_tooth("check_key", (struct intents_switches){.check_key = true}, "after done");
    expect_tooth("verify_earlier", (struct intents_switches){.verify_earlier = true}, "twice");
    expect_tooth("verify_given", (struct intents_switches){.verify_given = true}, "twice");
    expect_tooth("object_first", (struct intents_switches){.object_first = true}, "on its object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_effect_happens_twice_or_never),
        cmocka_unit_test(each_rule_is_needed),
    };
    return cmocka_run_group_tests_name("intents_world", tests, NULL, NULL);
}
