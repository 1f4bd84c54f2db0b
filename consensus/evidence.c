#include "consensus/evidence.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

#define PROBES_MAX 16
#define SPREADS_MAX 20 /* repeats of one piece of evidence, against loss */
#define NEVER INT64_MAX

/* A voter, and what it told us about the present (leader, term). */
struct witness {
    struct evidence_voter is;
    bool has_evidence;
    uint64_t incarnation; /* with sequence: of its latest message */
    uint64_t sequence;
};

struct evidence {
    struct evidence_config config;
    size_t witness_count;
    struct witness witnesses[NODES_MAX];

    /* About the present leader; forgotten with it. */
    uint64_t leader;
    uint64_t term;
    bool connected;
    bool refused; /* its address refused us since the connection was last up */
    bool told;    /* an obituary without proof: as good as a refusal */
    bool proof;   /* an obituary with proof */
    bool spread;  /* others were told that we have evidence */
    bool stood;
    int64_t first_sign_ms; /* -1: none */
    int64_t stand_from_ms; /* majority or proof since; NEVER: not yet */
    int64_t probe_at_ms;
    int64_t spread_at_ms;
    unsigned probes;
    unsigned spreads;

    uint64_t sequence; /* of our messages */
    bool withdraw_due;
    bool proof_due; /* proof about proof_leader in proof_term goes to the engine */
    uint64_t proof_leader;
    uint64_t proof_term;
};

struct evidence *evidence_create(const struct evidence_config *config)
{
    invariant(config->id != 0);
    struct evidence *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    if (self->config.step_ms <= 0) {
        self->config.step_ms = EVIDENCE_STEP_MS_DEFAULT;
    }
    self->first_sign_ms = -1;
    self->stand_from_ms = NEVER;
    self->probe_at_ms = NEVER;
    self->spread_at_ms = NEVER;
    return self;
}

void evidence_destroy(struct evidence **self_p)
{
    if (self_p == NULL) {
        return;
    }
    free(*self_p);
    *self_p = NULL;
}

/* ---- what is known ---- */

static struct witness *find_witness(struct evidence *self, uint64_t id)
{
    for (size_t i = 0; i < self->witness_count; i++) {
        if (self->witnesses[i].is.id == id) {
            return &self->witnesses[i];
        }
    }
    return NULL;
}

static const struct witness *find_self(const struct evidence *self)
{
    for (size_t i = 0; i < self->witness_count; i++) {
        if (self->witnesses[i].is.id == self->config.id) {
            return &self->witnesses[i];
        }
    }
    return NULL;
}

static bool follows(const struct evidence *self)
{
    return self->leader != 0 && self->leader != self->config.id && find_self(self) != NULL;
}

static bool own_evidence(const struct evidence *self)
{
    return self->told || self->proof || (self->refused && !self->connected);
}

size_t evidence_count(const struct evidence *self)
{
    size_t count = follows(self) && own_evidence(self) ? 1 : 0;
    for (size_t i = 0; i < self->witness_count; i++) {
        const struct witness *witness = &self->witnesses[i];
        if (witness->has_evidence && witness->is.id != self->config.id &&
            witness->is.id != self->leader) {
            count++;
        }
    }
    return count;
}

size_t evidence_majority(const struct evidence *self)
{
    return self->witness_count / 2 + 1;
}

/* Does `a` stand before `b`? */
static bool stands_before(const struct evidence_voter *a, const struct evidence_voter *b)
{
    if (a->score_known != b->score_known) {
        return a->score_known;
    }
    if (a->score_known && (a->score > b->score || a->score < b->score)) {
        return a->score > b->score;
    }
    return a->id < b->id;
}

/* How many live voters stand before this one. */
static int64_t rank(const struct evidence *self)
{
    const struct witness *mine = find_self(self);
    int64_t before = 0;
    for (size_t i = 0; mine != NULL && i < self->witness_count; i++) {
        const struct evidence_voter *voter = &self->witnesses[i].is;
        if (voter->id != self->config.id && voter->id != self->leader && voter->alive &&
            stands_before(voter, &mine->is)) {
            before++;
        }
    }
    return before;
}

static int64_t stand_at_ms(const struct evidence *self)
{
    if (self->stood || self->stand_from_ms == NEVER || !follows(self)) {
        return NEVER;
    }
    return self->stand_from_ms + rank(self) * self->config.step_ms;
}

static void note_sign(struct evidence *self, int64_t now_ms)
{
    if (self->first_sign_ms < 0) {
        self->first_sign_ms = now_ms;
    }
}

/* After any change of what is known. */
static void judge(struct evidence *self, int64_t now_ms)
{
    bool mine = follows(self) && own_evidence(self);
    if (mine && !self->spread) {
        self->spread = true;
        self->spreads = 0;
        self->spread_at_ms = now_ms;
    }
    if (mine || !follows(self)) {
        self->probe_at_ms = NEVER;
    }
    bool enough = mine && (self->proof || evidence_count(self) >= evidence_majority(self));
    if (!enough) {
        self->stand_from_ms = NEVER;
    } else if (self->stand_from_ms == NEVER) {
        self->stand_from_ms = now_ms;
    }
}

/* ---- events ---- */

void evidence_voters(struct evidence *self, const struct evidence_voter *voters, size_t count)
{
    struct witness fresh[NODES_MAX];
    size_t fresh_count = 0;
    for (size_t i = 0; i < count && fresh_count < NODES_MAX; i++) {
        const struct witness *known = find_witness(self, voters[i].id);
        struct witness *witness = &fresh[fresh_count++];
        memset(witness, 0, sizeof(*witness));
        if (known != NULL) {
            *witness = *known;
        }
        witness->is = voters[i];
    }
    memcpy(self->witnesses, fresh, fresh_count * sizeof(fresh[0]));
    self->witness_count = fresh_count;
}

void evidence_follow(struct evidence *self, int64_t now_ms, uint64_t leader, uint64_t term,
                     bool connected)
{
    if (leader == self->leader && term == self->term) {
        return;
    }
    self->leader = leader;
    self->term = term;
    self->connected = connected;
    self->refused = false;
    self->told = false;
    self->proof = false;
    self->spread = false;
    self->stood = false;
    self->withdraw_due = false;
    self->first_sign_ms = -1;
    self->spread_at_ms = NEVER;
    self->probe_at_ms = NEVER;
    self->probes = 0;
    for (size_t i = 0; i < self->witness_count; i++) {
        self->witnesses[i].has_evidence = false;
    }
    judge(self, now_ms);
}

static void probe_now(struct evidence *self, int64_t now_ms)
{
    if (follows(self) && !own_evidence(self)) {
        self->probes = 0;
        self->probe_at_ms = now_ms;
    }
}

void evidence_link_lost(struct evidence *self, int64_t now_ms, uint64_t peer)
{
    if (peer != self->leader || peer == 0) {
        return;
    }
    self->connected = false;
    note_sign(self, now_ms);
    probe_now(self, now_ms);
    judge(self, now_ms);
}

void evidence_link_up(struct evidence *self, int64_t now_ms, uint64_t peer)
{
    if (peer != self->leader || peer == 0) {
        return;
    }
    self->connected = true;
    self->refused = false;
    self->probe_at_ms = NEVER;
    if (self->told || self->proof) {
        return; /* who answers there now is not the process that led in that term */
    }
    self->first_sign_ms = -1;
    self->withdraw_due = self->spread;
    self->spread = false;
    self->spread_at_ms = NEVER;
    judge(self, now_ms);
}

/* A dying process closes its connections before its listening socket, so the first probe may still
 * be accepted: the first repeats come after 2, 4, 8, ... milliseconds. */
static int64_t probe_pause_ms(unsigned probes)
{
    int64_t pause_ms = probes < 6 ? INT64_C(1) << probes : EVIDENCE_REPEAT_MS;
    return pause_ms < EVIDENCE_REPEAT_MS ? pause_ms : EVIDENCE_REPEAT_MS;
}

void evidence_probed(struct evidence *self, int64_t now_ms, uint64_t peer, bool refused)
{
    if (peer != self->leader || peer == 0) {
        return;
    }
    self->refused = refused;
    if (refused) {
        note_sign(self, now_ms);
    } else if (!self->connected && follows(self) && self->probes < PROBES_MAX) {
        self->probe_at_ms = now_ms + probe_pause_ms(self->probes);
    }
    judge(self, now_ms);
}

void evidence_receive(struct evidence *self, int64_t now_ms, uint64_t from,
                      const struct evidence_message *message)
{
    struct witness *witness = find_witness(self, from);
    if (witness == NULL || from == self->config.id) {
        return;
    }
    bool newer =
        message->incarnation > witness->incarnation ||
        (message->incarnation == witness->incarnation && message->sequence > witness->sequence);
    if (!newer) {
        return;
    }
    witness->incarnation = message->incarnation;
    witness->sequence = message->sequence;
    if (message->leader != self->leader || message->term != self->term || !follows(self)) {
        return;
    }
    witness->has_evidence = !message->withdrawn;
    if (witness->has_evidence && !own_evidence(self) && self->probe_at_ms == NEVER &&
        self->probes == 0) {
        probe_now(self, now_ms); /* our connection may not have noticed yet */
    }
    judge(self, now_ms);
}

void evidence_obituary(struct evidence *self, int64_t now_ms, const struct obituary *obituary)
{
    if (obituary->term == 0) {
        return;
    }
    bool proves = !obituary->owed_wait || self->config.off.owed_wait;
    bool same_term = obituary->term == self->term || self->config.off.obituary_term;
    bool present = follows(self) && obituary->raft_id == self->leader && same_term;
    if (present) {
        note_sign(self, now_ms);
        self->told = true;
        self->proof = self->proof || proves;
    }
    if (proves && (!present || self->stood)) {
        self->proof_due = true;
        self->proof_leader = obituary->raft_id;
        self->proof_term = obituary->term;
    }
    judge(self, now_ms);
}

/* ---- actions ---- */

static void fill_message(struct evidence *self, bool withdrawn, struct evidence_action *ret)
{
    ret->type = EVIDENCE_SPREAD;
    ret->message = (struct evidence_message){.leader = self->leader,
                                             .term = self->term,
                                             .withdrawn = withdrawn,
                                             .incarnation = self->config.incarnation,
                                             .sequence = ++self->sequence};
}

static void spread(struct evidence *self, int64_t now_ms, struct evidence_action *ret)
{
    fill_message(self, false, ret);
    self->spreads++;
    self->spread_at_ms = self->spreads < SPREADS_MAX ? now_ms + EVIDENCE_REPEAT_MS : NEVER;
}

bool evidence_next(struct evidence *self, int64_t now_ms, struct evidence_action *ret)
{
    *ret = (struct evidence_action){.leader = self->leader,
                                    .term = self->term,
                                    .proof = self->proof,
                                    .first_sign_ms = self->first_sign_ms};
    if (self->proof_due) {
        self->proof_due = false;
        ret->type = EVIDENCE_PROOF;
        ret->leader = self->proof_leader;
        ret->term = self->proof_term;
        ret->proof = true;
        return true;
    }
    if (self->withdraw_due) {
        self->withdraw_due = false;
        fill_message(self, true, ret);
        return true;
    }
    if (self->probe_at_ms <= now_ms) {
        self->probe_at_ms = NEVER;
        self->probes++;
        ret->type = EVIDENCE_PROBE;
        return true;
    }
    if (self->spread_at_ms <= now_ms) {
        spread(self, now_ms, ret);
        return true;
    }
    if (stand_at_ms(self) <= now_ms) {
        self->stood = true;
        ret->type = EVIDENCE_STAND;
        return true;
    }
    return false;
}

int64_t evidence_deadline_ms(const struct evidence *self)
{
    if (self->proof_due || self->withdraw_due) {
        return 0;
    }
    int64_t at_ms = stand_at_ms(self);
    at_ms = self->probe_at_ms < at_ms ? self->probe_at_ms : at_ms;
    return self->spread_at_ms < at_ms ? self->spread_at_ms : at_ms;
}
