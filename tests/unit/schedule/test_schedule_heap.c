/* The heaps of the scheduler against a slow search, with entries taken out from anywhere. */
#include "consensus/schedule_parts.h"
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES 60

static struct schedule_entry *make_entry(struct rng *rng, unsigned number)
{
    struct schedule_entry *entry = calloc(1, sizeof *entry + 3);
    assert_non_null(entry);
    entry->wake_s = (int64_t)rng_below(rng, 40);
    entry->behind = rng_below(rng, 2) == 0;
    entry->priority = (int64_t)rng_below(rng, 3);
    entry->next_s = (int64_t)rng_below(rng, 4);
    entry->id[0] = (char)('A' + number % 8);
    entry->id[1] = (char)('A' + number / 8);
    return entry;
}

static void check_first(const struct schedule_heap *heap, struct schedule_entry *const *entries)
{
    const struct schedule_entry *first = schedule_heap_first(heap);
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        if (entries[i]->heap_at[heap->kind] != 0) {
            count++;
            assert_non_null(first);
            assert_false(schedule_heap_before(heap->kind, entries[i], first));
            assert_ptr_equal(heap->items[entries[i]->heap_at[heap->kind] - 1], entries[i]);
        }
    }
    assert_int_equal(heap->count, count);
}

static void the_first_is_always_the_first(void **unused)
{
    (void)unused;
    for (int kind = 0; kind < SCHEDULE_HEAPS; kind++) {
        struct rng rng;
        struct schedule_entry *entries[ENTRIES];
        struct schedule_heap heap = {.kind = (enum schedule_heap_kind)kind};
        rng_init(&rng, 3);
        assert_int_equal(schedule_heap_reserve(&heap, ENTRIES), 0);
        for (unsigned i = 0; i < ENTRIES; i++) {
            entries[i] = make_entry(&rng, i);
        }
        for (int i = 0; i < 20000; i++) {
            struct schedule_entry *entry = entries[rng_below(&rng, ENTRIES)];
            if (entry->heap_at[kind] == 0) {
                schedule_heap_push(&heap, entry);
            } else {
                schedule_heap_remove(&heap, entry);
                schedule_heap_remove(&heap, entry); /* it is not in there: nothing */
            }
            check_first(&heap, entries);
        }
        for (size_t i = 0; i < ENTRIES; i++) {
            free(entries[i]);
        }
        free(heap.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_always_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
