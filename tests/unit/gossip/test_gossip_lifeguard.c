/* Whom a node accuses, how surely, and how the accused gets to know: repeated pings, the buddy
 * system, answers to outdated accusations, and the last questions before a death. */
#include "tests/unit/gossip/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* n1 knows n2 and n3, and has told all its news. */
static void begin_with_two(struct world *world, struct gossip_switches off)
{
    world_begin(world);
    world_end(world);
    world->config.off = off;
    assert_int_equal(gossip_create(&world->config, START_MS, &world->gossip, NULL), 0);
    world_hear(world, "n2", "n2", 5, GOSSIP_ALIVE, NULL);
    world_hear(world, "n3", "n3", 5, GOSSIP_ALIVE, NULL);
}

static void run_to_first_ping(struct world *world)
{
    while (world->pings == 0) {
        world_run(world, 10);
        assert_true(world->now_ms < START_MS + 5000);
    }
}

static void a_probe_pings_three_times_before_it_fails(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    run_to_first_ping(&world);
    char name[NAME_SIZE];
    memcpy(name, world.pinged, NAME_SIZE);
    uint32_t sequence = world.ping_sequence;
    for (unsigned pings = 1; pings <= 3; pings++) {
        assert_int_equal(world.pings, pings);
        assert_string_equal(world.pinged, name);
        assert_int_equal(world.ping_sequence, sequence); /* any answer will do */
        assert_int_equal(world_member_of(&world, name).state, GOSSIP_ALIVE);
        world_run(&world, pings == 1 ? 510 : 250);
    }
    assert_int_equal(world_member_of(&world, name).state, GOSSIP_SUSPECT);
    world_end(&world);
}

static void an_answer_to_the_last_ping_is_enough(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    run_to_first_ping(&world);
    char name[NAME_SIZE];
    memcpy(name, world.pinged, NAME_SIZE);
    world_run(&world, 800);
    assert_int_equal(world.pings, 3);
    world_answer_ping(&world);
    world_run(&world, 190);
    assert_int_equal(world_member_of(&world, name).state, GOSSIP_ALIVE);
    assert_int_equal(world_counters_of(&world).probes_failed, 0);
    assert_int_equal(world_counters_of(&world).probes_acked, 1);
    world_end(&world);
}

static void fail_first_probe(struct world *world, char ret_name[NAME_SIZE])
{
    run_to_first_ping(world);
    memcpy(ret_name, world->pinged, NAME_SIZE);
    world->watch = ret_name;
    while (world_member_of(world, ret_name).state == GOSSIP_ALIVE) {
        world->told_count = 0;
        world_run(world, 10);
        assert_true(world->now_ms < START_MS + 5000);
    }
}

static void whom_this_node_suspects_it_tells_at_once(void **state)
{
    (void)state;
    struct world world;
    char name[NAME_SIZE];
    begin_with_two(&world, (struct gossip_switches){0});
    fail_first_probe(&world, name);
    assert_true(world.told_count > 0);
    assert_int_equal(world.told.state, GOSSIP_SUSPECT);
    assert_true(world.pings > 3); /* a ping: its answer brings the refutation */
    world_end(&world);
}

static void without_the_buddy_it_hears_nothing(void **state)
{
    (void)state;
    struct world world;
    char name[NAME_SIZE];
    begin_with_two(&world, (struct gossip_switches){.buddy = true});
    fail_first_probe(&world, name);
    world.told_count = 0;
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 8};
    world_receive(&world, name, &ping, NULL);
    assert_int_equal(world.acks, 1);
    assert_true(world.told_count == 0 || strcmp(world.told_to, name) != 0);
    world_end(&world);
}

static void every_ping_to_a_suspect_carries_the_suspicion(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    world_run(&world, 100);
    world_hear(&world, "n2", "n3", 5, GOSSIP_SUSPECT, "n2");
    world.watch = "n3";
    unsigned pings = 0;
    for (unsigned i = 0; i < 150; i++) {
        unsigned before = world.pings;
        world.told_count = 0;
        world_run(&world, 10);
        if (world.pings > before && strcmp(world.pinged, "n3") == 0) {
            assert_true(world.told_count > 0);
            assert_int_equal(world.told.state, GOSSIP_SUSPECT);
            pings++;
        }
    }
    assert_true(pings >= 2);
    world_end(&world);
}

static void who_accuses_on_old_news_is_told_the_newer(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    world_hear(&world, "n3", "n3", 6, GOSSIP_ALIVE, NULL);
    world_run(&world, 400);
    world.watch = "n3";
    static const enum gossip_state accusations[] = {GOSSIP_SUSPECT, GOSSIP_DEAD};
    for (size_t i = 0; i < 2; i++) {
        world.told_count = 0;
        world_hear(&world, "n2", "n3", 5, accusations[i], "n2");
        assert_int_equal(world.told_count, 1);
        assert_string_equal(world.told_to, "n2");
        assert_int_equal(world.told.state, GOSSIP_ALIVE);
        assert_int_equal(world.told.incarnation, 6);
    }
    world.told_count = 0;
    world_hear(&world, "n2", "n3", 5, GOSSIP_ALIVE, NULL); /* which harms nobody */
    assert_int_equal(world.told_count, 0);
    world_end(&world);
}

static void the_newer_goes_with_the_answer_if_there_is_one(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    world_hear(&world, "n3", "n3", 6, GOSSIP_ALIVE, NULL);
    world_run(&world, 400);
    world.watch = "n3";
    world.told_count = 0;
    unsigned sends = world.send_count;
    struct gossip_wire_message ping = {.type = WIRE_PING, .sequence = 8};
    struct gossip_wire_item item = {
        .kind = WIRE_ITEM_MEMBER,
        .member = {.name = "n3", .incarnation = 5, .state = GOSSIP_SUSPECT}};
    world_receive(&world, "n2", &ping, &item);
    assert_int_equal(world.told_count, 1);
    assert_int_equal(world.told_kind, WIRE_ACK);
    assert_int_equal(world.send_count - sends, 1);
    world_end(&world);
}

/* From a doubt, which gives the least time, 2 s, to the death. */
static void run_to_death(struct world *world)
{
    world_hear(world, "n2", "n3", 5, GOSSIP_DEAD, "n2");
    world_run(world, 1450);
    world->watch = "n3";
    world->questions = 0;
    world->questions_to_others = 0;
    while (world_member_of(world, "n3").state == GOSSIP_SUSPECT) {
        world_run(world, 5);
        assert_true(world->now_ms < START_MS + 5000);
    }
}

static void before_a_death_others_are_asked(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    run_to_death(&world);
    assert_true(world.questions > 0);
    assert_true(world.questions_to_others > 0);
    assert_int_equal(world.now_ms - START_MS, 2000); /* and it dies in time */
    world_end(&world);
    begin_with_two(&world, (struct gossip_switches){.last_question = true});
    run_to_death(&world);
    assert_int_equal(world.questions_to_others, 0);
    world_end(&world);
}

static void an_answer_saves_the_suspect(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    world_hear(&world, "n2", "n3", 5, GOSSIP_DEAD, "n2");
    world_run(&world, 1900);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_SUSPECT);
    world_hear(&world, "n2", "n3", 6, GOSSIP_ALIVE, NULL);
    world_run(&world, 400);
    assert_int_equal(world_member_of(&world, "n3").state, GOSSIP_ALIVE);
    assert_int_equal(world_counters_of(&world).deaths, 0);
    world_end(&world);
}

/* News has three sends among three; those to the suspect itself reach nobody when it is dead. */
static void what_a_suspect_is_told_does_not_count(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){0});
    world_run(&world, 100);
    world.watch = "n3";
    gossip_note_refused(world.gossip, world.now_ms, "n3");
    world_run(&world, 900);
    assert_true(world.told_others >= 3);
    world_end(&world);
}

static void nacks_can_be_switched_off(void **state)
{
    (void)state;
    struct world world;
    begin_with_two(&world, (struct gossip_switches){.nack = true});
    struct gossip_wire_message ask = {
        .type = WIRE_ASK, .sequence = 77, .target = "n3", .wait_ms = 500};
    world_receive(&world, "n2", &ask, NULL);
    world_run(&world, 900);
    assert_int_equal(world.nacks, 0);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_pings_three_times_before_it_fails),
        cmocka_unit_test(an_answer_to_the_last_ping_is_enough),
        cmocka_unit_test(whom_this_node_suspects_it_tells_at_once),
        cmocka_unit_test(without_the_buddy_it_hears_nothing),
        cmocka_unit_test(every_ping_to_a_suspect_carries_the_suspicion),
        cmocka_unit_test(who_accuses_on_old_news_is_told_the_newer),
        cmocka_unit_test(the_newer_goes_with_the_answer_if_there_is_one),
        cmocka_unit_test(before_a_death_others_are_asked),
        cmocka_unit_test(an_answer_saves_the_suspect),
        cmocka_unit_test(what_a_suspect_is_told_does_not_count),
        cmocka_unit_test(nacks_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
