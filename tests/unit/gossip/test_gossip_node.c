/* One node against hand-made messages: refutation, bounds, forged and forgotten senders, stalls. */
#include "tests/unit/gossip/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- refutation ---- */

static void an_accused_node_refutes_by_a_higher_incarnation(void **state)
{
    (void)state;
    static const enum gossip_state accusations[] = {GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        world_begin(&world);
        world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
        world.watch = "n1";
        world_hear(&world, "n2", "n1", OWN_INCARNATION + 7, accusations[i], "n2");
        assert_int_equal(world.incarnation.incarnation, OWN_INCARNATION + 8);
        assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION + 8);
        assert_int_equal(gossip_awareness(world.gossip), 1);
        world_run(&world, 300);
        assert_true(world.told_count > 0);
        assert_int_equal(world.told.state, GOSSIP_ALIVE);
        assert_int_equal(world.told.incarnation, OWN_INCARNATION + 8);
        world_end(&world);
    }
}

static void an_old_accusation_is_ignored(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n1", OWN_INCARNATION - 1, GOSSIP_DEAD, "n2");
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION);
    assert_int_equal(gossip_awareness(world.gossip), 0);
    world_end(&world);
}

static void a_lost_counter_is_made_good(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n1", OWN_INCARNATION + 50, GOSSIP_ALIVE, NULL);
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION + 51);
    assert_int_equal(gossip_awareness(world.gossip), 0);
    world_hear(&world, "n2", "n1", GOSSIP_INCARNATION_MAX, GOSSIP_DEAD,
               "n2"); /* no way past the end */
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION + 51);
    world_end(&world);
}

/* ---- suspicion and death ---- */

static void who_does_not_answer_is_suspected_and_then_dead(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_run(&world, 2100);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_SUSPECT);
    assert_int_equal(world.member.reason, GOSSIP_REASON_PROBE);
    world_run(&world,
              2500); /* alone with it: nobody could confirm, so the least time is all it gets */
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_DEAD);
    assert_int_equal(world.member.reason, GOSSIP_REASON_TIMEOUT);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_DEAD);
    world_hear(&world, "n2", "n2", 6, GOSSIP_ALIVE, NULL);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_ALIVE);
    assert_int_equal(world.member.reason, GOSSIP_REASON_RETURNED);
    world_end(&world);
}

static void who_answers_stays_alive(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    for (unsigned i = 0; i < 200; i++) {
        unsigned pings = world.pings;
        world_run(&world, 100);
        if (world.pings > pings) {
            world_answer_ping(&world);
        }
    }
    assert_true(world.pings >= 18);
    assert_int_equal(world_counters_of(&world).probes_failed, 0);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_ALIVE);
    world_end(&world);
}

static void other_traffic_spares_an_accusation(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    for (unsigned i = 0; i < 200; i++) {
        world_run(&world, 100);
        gossip_note_contact(world.gossip, world.now_ms, "n2");
    }
    assert_true(world.pings >= 18);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_ALIVE);
    assert_int_equal(world_counters_of(&world).suspicions, 0);
    world_end(&world);
}

static void hearsay_of_a_death_is_only_a_suspicion(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n3", 5, GOSSIP_DEAD, "n2");
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    world_hear(&world, "n2", "n3", 5, GOSSIP_DEAD, "n2"); /* told twice is not more true */
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    world.watch = "n3";
    world_hear(&world, "n3", "n3", 6, GOSSIP_ALIVE, NULL);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_ALIVE);
    assert_int_equal(world.member.reason, GOSSIP_REASON_REFUTED);
    world_end(&world);
}

static void a_parents_word_is_proof(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world.watch = "n3";
    gossip_note_ended(world.gossip, world.now_ms, "n3", 9);
    world_drain(&world);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_DEAD);
    assert_int_equal(world.member.reason, GOSSIP_REASON_ENDED);
    world_run(&world, 300);
    assert_int_equal(world.told.state, GOSSIP_DEAD);
    assert_int_equal(world.told.incarnation, 9);
    assert_string_equal(world.told.accusers[0], "n3");
    world_hear(&world, "n2", "n3", 8, GOSSIP_ALIVE, NULL); /* a refutation from before its end */
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_DEAD);
    world_hear(&world, "n3", "n3", 10, GOSSIP_ALIVE, NULL);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_ALIVE);
    world_hear(&world, "n2", "n3", 10, GOSSIP_DEAD, "n3"); /* proof from another node */
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_DEAD);
    world_end(&world);
}

static void a_refused_connection_accuses_at_once(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    gossip_note_refused(world.gossip, world.now_ms, "n2");
    world_drain(&world);
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_SUSPECT);
    assert_int_equal(world.member.reason, GOSSIP_REASON_REFUSED);
    gossip_note_refused(world.gossip, world.now_ms, "n1");
    gossip_note_refused(world.gossip, world.now_ms, "nobody");
    world_drain(&world);
    assert_int_equal(world_member_of(&world, "n1").state, GOSSIP_ALIVE);
    world_end(&world);
}

static void a_suspect_is_told_first_of_all(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world_run(&world, 500);
    world_hear(&world, "n2", "n3", 5, GOSSIP_SUSPECT, "n2");
    world.watch = "n3";
    world.told_count = 0;
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 8};
    world_receive(&world, "n3", &ping, NULL);
    assert_true(world.told_count > 0);
    assert_int_equal(world.told.state, GOSSIP_SUSPECT);
    assert_int_equal(world.told.incarnation, 5);
    world.told_count = 0;
    world.now_ms += world.config.probe_timeout_ms;
    struct gossip_wire_message news = {.type = WIRE_NEWS}; /* what asks for no answer gets one */
    world_receive(&world, "n3", &news, NULL);
    assert_int_equal(world.told_count, 1);
    world_receive(&world, "n3", &news, NULL); /* but not each time */
    assert_int_equal(world.told_count, 1);
    world_end(&world);
}

static void another_nodes_suspicion_is_checked_at_once(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n3", 5, GOSSIP_SUSPECT, "n2");
    world_run(&world, world.config.probe_timeout_ms / 4);
    assert_int_equal(world.pings, 1);
    assert_string_equal(world.pinged, "n3");
    world_end(&world);
}

static void a_suspect_that_is_heard_gets_more_time_but_not_for_ever(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n3", 5, GOSSIP_DEAD, "n2"); /* a doubt: the least time, 2 s */
    for (unsigned i = 0; i < 70; i++) {
        world_run(&world, 100);
        gossip_note_contact(world.gossip, world.now_ms, "n3");
        assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    }
    for (unsigned i = 0; i < 11; i++) { /* 8 s are the longest */
        world_run(&world, 100);
        gossip_note_contact(world.gossip, world.now_ms, "n3");
    }
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_DEAD);
    world_end(&world);
}

static void hear_ended(struct world *world, const char *name, uint32_t age_s)
{
    struct gossip_wire_message message = {.type = WIRE_NEWS};
    struct gossip_wire_item item = {
        .kind = WIRE_ITEM_MEMBER,
        .member = {.incarnation = 5, .state = GOSSIP_DEAD, .age_s = age_s}};
    (void)snprintf(item.member.name, NAME_SIZE, "%s", name);
    (void)snprintf(item.member.address, ADDRESS_SIZE, "tcp://%s:7400", name);
    world_receive(world, "n2", &message, &item);
}

static void a_death_keeps_its_age_as_it_travels(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    hear_ended(&world, "n3", 90);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_DEAD);
    assert_int_equal(world_member_of(&world, "n3").state_since_ms, world.now_ms - 90000);
    hear_ended(&world, "n4", (uint32_t)(world.config.dead_keep_ms / 1000)); /* too old to matter */
    struct gossip_member member;
    assert_false(gossip_member_find(world.gossip, "n4", &member));
    world.watch = "n3";
    world_run(&world, 900);
    assert_true(world.told_count > 0);
    assert_in_range(world.told.age_s, 90, 91);
    world_end(&world);
}

/* ---- indirect probes ---- */

static void others_are_asked_and_their_nacks_keep_us_well(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    while (world.asks == 0) {
        world_run(&world, 50);
        assert_true(world.now_ms < START_MS + 5000);
    }
    const char *helper = strcmp(world.pinged, "n2") == 0 ? "n3" : "n2";
    char silent[NAME_SIZE];
    memcpy(silent, world.pinged, NAME_SIZE);
    struct gossip_wire_message nack = {.type = WIRE_NACK, .sequence = world.ask_sequence};
    world_receive(&world, helper, &nack, NULL);
    world_run(&world, 600);
    assert_int_equal(world_member_of(&world, silent).state, GOSSIP_SUSPECT);
    assert_int_equal(gossip_awareness(world.gossip), 0);
    assert_int_equal(world_counters_of(&world).nacks_received, 1);
    world_end(&world);
}

static void silence_of_all_makes_us_doubt_ourselves(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world_run(&world, 2500);
    assert_true(world.asks >= 1);
    assert_true(gossip_awareness(world.gossip) >= 1);
    world_end(&world);
}

static void asked_to_probe_it_passes_on_the_ack_or_says_nack(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    struct gossip_wire_message ask = {
        .type = WIRE_ASK, .sequence = 77, .target = "n3", .wait_ms = 500};
    world_receive(&world, "n2", &ask, NULL);
    assert_string_equal(world.pinged, "n3");
    world_run(&world, 300);
    assert_int_equal(world.nacks, 0);
    world_run(&world, 150); /* 400 ms: early enough to be heard */
    assert_int_equal(world.nacks, 1);
    struct gossip_wire_message unknown = {
        .type = WIRE_ASK, .sequence = 78, .target = "n9", .wait_ms = 500};
    world_receive(&world, "n2", &unknown, NULL);
    assert_int_equal(world.nacks, 2);
    world_end(&world);
}

/* ---- bounds ---- */

static void messages_stay_below_their_bound(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    for (unsigned i = 2; i < 60; i++) {
        char name[NAME_SIZE];
        (void)snprintf(name, sizeof name, "a-node-with-a-rather-long-name-for-a-node-%u", i);
        world_hear(&world, name, name, 5, GOSSIP_ALIVE, NULL);
    }
    world_run(&world, 1500);
    assert_int_equal(gossip_member_count(world.gossip), 59);
    assert_true(world.largest_bytes <= world.config.message_bytes_max);
    assert_true(world.largest_bytes > world.config.message_bytes_max / 2); /* and uses it */
    world_end(&world);
}

static void news_ends_after_its_share_of_sends(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    world.watch = "n4";
    world_hear(&world, "n4", "n4", 5, GOSSIP_ALIVE, NULL);
    world_run(&world, 900);                  /* before its first probe could have failed */
    assert_in_range(world.told_count, 1, 3); /* ceil(4 log10 5) = 3 */
    world_end(&world);
}

static void more_members_than_allowed_are_refused(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    for (unsigned i = 2; i < 2 * NODES_MAX; i++) {
        char name[NAME_SIZE];
        (void)snprintf(name, sizeof name, "n%u", i);
        world_hear(&world, name, name, 5, GOSSIP_ALIVE, NULL);
    }
    assert_int_equal(gossip_member_count(world.gossip), NODES_MAX);
    assert_true(world_counters_of(&world).dropped_full >= NODES_MAX - 2);
    world_end(&world);
}

static void a_shell_that_never_drains_costs_bounded_memory(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    struct gossip_action action;
    unsigned sends = 0;
    struct mp_writer writer;
    mp_writer_init(&writer, 256);
    struct gossip_wire_message ping = {.type = WIRE_PING, .sender = "n2", .sequence = 1};
    gossip_wire_put_head(&writer, &ping, NULL, 0);
    for (unsigned i = 0; i < 5000; i++) {
        gossip_receive(world.gossip, world.now_ms, "n2", writer.buffer.data, writer.buffer.length);
    }
    mp_writer_deinit(&writer);
    while (gossip_action_next(world.gossip, &action)) {
        sends += action.kind == GOSSIP_ACTION_SEND;
    }
    assert_int_equal(sends, 1024);
    assert_true(world_counters_of(&world).dropped_full > 3900);
    world_end(&world);
}

/* ---- who may speak ---- */

static void a_forged_sender_is_dropped_and_counted(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    struct gossip_wire_message message = {.type = WIRE_NEWS, .sender = "n3"};
    struct gossip_wire_item item = {
        .kind = WIRE_ITEM_MEMBER,
        .member = {.name = "n3", .address = "tcp://n3:1", .incarnation = 5, .state = GOSSIP_ALIVE}};
    world_receive(&world, "n2", &message, &item);
    assert_int_equal(world_counters_of(&world).dropped_forged, 1);
    assert_int_equal(gossip_member_count(world.gossip), 1);
    world_receive(&world, "n3", &message, &item);
    assert_int_equal(gossip_member_count(world.gossip), 2);
    gossip_receive(world.gossip, world.now_ms, "n3", (const uint8_t *)"\xc1", 1);
    gossip_receive(world.gossip, world.now_ms, "n3", (const uint8_t *)"", 0);
    assert_int_equal(world_counters_of(&world).dropped_malformed, 2);
    world_end(&world);
}

static void a_removed_node_stays_away_until_it_is_admitted(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
    gossip_forget(world.gossip, world.now_ms, "n3");
    world_drain(&world);
    assert_int_equal(world.gone_count, 1);
    world_hear(&world, "n2", "n3", 5, GOSSIP_ALIVE, NULL); /* a peer that has not heard of it */
    world_hear(&world, "n3", "n3", 6, GOSSIP_ALIVE, NULL);
    assert_int_equal(gossip_member_count(world.gossip), 2);
    assert_int_equal(world_counters_of(&world).dropped_forgotten, 2);
    unsigned sends = world.send_count;
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 4};
    world_receive(&world, "n3", &ping, NULL);
    assert_int_equal(world.send_count, sends);
    gossip_admit(world.gossip, world.now_ms, "n3");
    world_hear(&world, "n3", "n3", 6, GOSSIP_ALIVE, NULL);
    assert_int_equal(gossip_member_count(world.gossip), 3);
    world_end(&world);
}

static void a_stranger_is_answered_by_name(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 4};
    world_receive(&world, "n7", &ping, NULL);
    assert_int_equal(world.send_count, 2); /* the ack, and a digest to learn of it */
    assert_int_equal(world_counters_of(&world).strangers, 1);
    world_end(&world);
}

/* ---- stalls ---- */

static void a_late_tick_accuses_nobody_for_a_round(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    while (world.pings == 0) {
        world_run(&world, 50);
    }
    world.now_ms += 60000; /* frozen with a probe in flight */
    gossip_tick(world.gossip, world.now_ms);
    world_drain(&world);
    assert_int_equal(gossip_awareness(world.gossip), 1);
    assert_int_equal(world_counters_of(&world).stalls, 1);
    world_run(&world, 2000); /* one round at twice the interval */
    assert_int_equal(world_member_of(&world, "n2").state, GOSSIP_ALIVE);
    world_run(&world, 8000);
    assert_int_not_equal(world_member_of(&world, "n2").state, GOSSIP_ALIVE);
    world_end(&world);
}

static void suspicions_stand_still_while_frozen(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n3", 5, GOSSIP_ALIVE, NULL);
    world_hear(&world, "n2", "n3", 5, GOSSIP_SUSPECT, "n2");
    world.now_ms += 600000;
    gossip_tick(world.gossip, world.now_ms);
    world_drain(&world);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    world_run(&world, 3500); /* more than the quiet round, less than what the suspicion had left */
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    world_end(&world);
}

/* ---- health ---- */

static void hear_health(struct world *world, const char *name, uint64_t incarnation,
                        uint64_t sequence, int score_tenths)
{
    struct gossip_wire_message message = {.type = WIRE_NEWS};
    struct gossip_wire_item item = {.kind = WIRE_ITEM_HEALTH,
                                    .health = {.incarnation = incarnation,
                                               .sequence = sequence,
                                               .score_tenths = score_tenths,
                                               .load_hundredths = 10,
                                               .details_hash = 1}};
    (void)snprintf(item.health.name, NAME_SIZE, "%s", name);
    world_receive(world, "n2", &message, &item);
}

static void the_newer_health_record_wins(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    hear_health(&world, "n2", 5, 3, 900);
    assert_int_equal(world.health_count, 1);
    hear_health(&world, "n2", 5, 3, 100);
    hear_health(&world, "n2", 5, 2, 100);
    hear_health(&world, "n2", 4, 99, 100);
    assert_int_equal(world_member_of(&world, "n2").score_tenths, 900);
    assert_int_equal(world.health_count, 1);
    hear_health(&world, "n2", 5, 4, 700);
    assert_int_equal(world_member_of(&world, "n2").score_tenths, 700);
    hear_health(&world, "n2", 6, 1, 600);
    assert_int_equal(world_member_of(&world, "n2").score_tenths, 600);
    hear_health(&world, "nobody", 6, 1, 600);
    assert_int_equal(gossip_member_count(world.gossip), 2);
    struct gossip_health health;
    bool complete = true;
    assert_true(gossip_member_health(world.gossip, "n2", &health, &complete));
    assert_false(complete); /* the details never came */
    world_end(&world);
}

static void own_health_is_published_when_it_matters(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = 950;
    for (unsigned i = 0; i < 100; i++) {
        health.score_tenths = 945 + (int)(i % 9);
        assert_int_equal(gossip_set_health(world.gossip, world.now_ms, &health, NULL), 0);
        world_run(&world, 100);
    }
    assert_int_equal(world_counters_of(&world).health_published, 1);
    health.score_tenths = 790;
    assert_int_equal(gossip_set_health(world.gossip, world.now_ms, &health, NULL), 0);
    assert_int_equal(world_member_of(&world, "n1").score_tenths, 790);
    health.score_tenths = 300; /* too soon after the last */
    assert_int_equal(gossip_set_health(world.gossip, world.now_ms, &health, NULL), 0);
    assert_int_equal(world_member_of(&world, "n1").score_tenths, 790);
    world_run(&world, 1000);
    assert_int_equal(world_member_of(&world, "n1").score_tenths, 300);
    health.score_tenths = 2000;
    assert_int_equal(gossip_set_health(world.gossip, world.now_ms, &health, NULL), ERR_INVALID);
    world_end(&world);
}

static void a_record_from_a_lost_life_is_outdone(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = 950;
    assert_int_equal(gossip_set_health(world.gossip, world.now_ms, &health, NULL), 0);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    hear_health(&world, "n1", OWN_INCARNATION + 3, 40, 10);
    assert_int_equal(world_member_of(&world, "n1").score_tenths, 950);
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION + 4);
    assert_int_equal(world_counters_of(&world).health_published, 2);
    hear_health(&world, "n1", OWN_INCARNATION + 4, 90, 10); /* of this very incarnation */
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION + 4);
    assert_int_equal(world_member_of(&world, "n1").health_sequence, 91);
    world_end(&world);
}

/* ---- leaving ---- */

static void a_leaving_node_says_so_and_goes_on_answering(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_hear(&world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world.watch = "n1";
    gossip_leave(world.gossip, world.now_ms);
    world_drain(&world);
    assert_int_equal(world.told.state, GOSSIP_LEFT);
    world_hear(&world, "n2", "n1", OWN_INCARNATION, GOSSIP_SUSPECT, "n2");
    assert_int_equal(gossip_incarnation(world.gossip), OWN_INCARNATION);
    unsigned sends = world.send_count;
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 4};
    world_receive(&world, "n2", &ping, NULL);
    assert_int_equal(world.send_count, sends + 1);
    world_run(&world, 500);
    assert_true(gossip_leave_done(world.gossip));
    world_end(&world);
}

static void a_node_alone_leaves_at_once(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    assert_false(gossip_leave_done(world.gossip));
    gossip_leave(world.gossip, world.now_ms);
    assert_true(gossip_leave_done(world.gossip));
    world_end(&world);
}

/* ---- configuration ---- */

static void a_configuration_out_of_bounds_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct gossip *gossip = NULL;
    struct err err = {0};
    world_begin(&world);
    struct gossip_config config = world.config;
    config.probe_timeout_ms = config.probe_interval_ms;
    assert_int_equal(gossip_create(&config, START_MS, &gossip, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "probe_timeout_ms"));
    config = world.config;
    config.name[0] = '\0';
    assert_int_equal(gossip_create(&config, START_MS, &gossip, &err), ERR_INVALID);
    config = world.config;
    config.incarnation = 0;
    assert_int_equal(gossip_create(&config, START_MS, &gossip, &err), ERR_INVALID);
    config = world.config;
    config.members_max = GOSSIP_MEMBERS_MAX + 1;
    assert_int_equal(gossip_create(&config, START_MS, &gossip, &err), ERR_INVALID);
    assert_null(gossip);
    assert_int_equal(gossip_config_profile(&config, "moon", &err), ERR_INVALID);
    gossip_destroy(NULL);
    gossip_destroy(&gossip);
    world_end(&world);
}

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    world_run(&world, 3000);
    gossip_tick(world.gossip, START_MS - 100000);
    world_drain(&world);
    assert_true(gossip_deadline_ms(world.gossip) > START_MS + 2000);
    assert_true(gossip_deadline_ms(world.gossip) <= world.now_ms + GOSSIP_DEADLINE_MAX_MS);
    assert_int_equal(world_counters_of(&world).stalls, 0);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_accused_node_refutes_by_a_higher_incarnation),
        cmocka_unit_test(an_old_accusation_is_ignored),
        cmocka_unit_test(a_lost_counter_is_made_good),
        cmocka_unit_test(who_does_not_answer_is_suspected_and_then_dead),
        cmocka_unit_test(who_answers_stays_alive),
        cmocka_unit_test(other_traffic_spares_an_accusation),
        cmocka_unit_test(hearsay_of_a_death_is_only_a_suspicion),
        cmocka_unit_test(a_parents_word_is_proof),
        cmocka_unit_test(a_refused_connection_accuses_at_once),
        cmocka_unit_test(a_suspect_is_told_first_of_all),
        cmocka_unit_test(another_nodes_suspicion_is_checked_at_once),
        cmocka_unit_test(a_suspect_that_is_heard_gets_more_time_but_not_for_ever),
        cmocka_unit_test(a_death_keeps_its_age_as_it_travels),
        cmocka_unit_test(others_are_asked_and_their_nacks_keep_us_well),
        cmocka_unit_test(silence_of_all_makes_us_doubt_ourselves),
        cmocka_unit_test(asked_to_probe_it_passes_on_the_ack_or_says_nack),
        cmocka_unit_test(messages_stay_below_their_bound),
        cmocka_unit_test(news_ends_after_its_share_of_sends),
        cmocka_unit_test(more_members_than_allowed_are_refused),
        cmocka_unit_test(a_shell_that_never_drains_costs_bounded_memory),
        cmocka_unit_test(a_forged_sender_is_dropped_and_counted),
        cmocka_unit_test(a_removed_node_stays_away_until_it_is_admitted),
        cmocka_unit_test(a_stranger_is_answered_by_name),
        cmocka_unit_test(a_late_tick_accuses_nobody_for_a_round),
        cmocka_unit_test(suspicions_stand_still_while_frozen),
        cmocka_unit_test(the_newer_health_record_wins),
        cmocka_unit_test(own_health_is_published_when_it_matters),
        cmocka_unit_test(a_record_from_a_lost_life_is_outdone),
        cmocka_unit_test(a_leaving_node_says_so_and_goes_on_answering),
        cmocka_unit_test(a_node_alone_leaves_at_once),
        cmocka_unit_test(a_configuration_out_of_bounds_is_refused),
        cmocka_unit_test(the_clock_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
