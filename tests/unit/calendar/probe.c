/* Answers questions about zones and slots, a line each, for reference.py:
 *
 *     zone NAME                             -> ok
 *     changes FROM TO                       -> AT:BEFORE:AFTER ... of the changes in (FROM, TO]
 *     local LOCAL                           -> once A | gap A | fold A B
 *     slots GAP FOLD FROM TO EXPRESSION     -> the slots in [FROM, TO]
 *
 * Instants and local times in seconds, policies as the numbers of their enums. What is no question
 * ends the program with 2. */
#include "consensus/calendar.h"
#include "tests/unit/calendar/zones.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 512

static void refuse(const char *what)
{
    (void)fprintf(stderr, "calendar_probe: %s\n", what);
    exit(2);
}

static int64_t take_number(char **line)
{
    char *end;
    errno = 0;
    long long ret = strtoll(*line, &end, 10);
    if (errno != 0 || end == *line) {
        refuse("a number is missing");
    }
    *line = end;
    return ret;
}

static void tell_changes(const struct zone *zone, char *line)
{
    int64_t from_s = take_number(&line);
    int64_t to_s = take_number(&line);
    struct zone_stretch stretch;
    zone_stretch(zone, from_s, &stretch);
    while (stretch.end_s <= to_s) {
        (void)printf("%" PRId64 ":%" PRId32 ":%" PRId32 " ", stretch.end_s, stretch.offset_s,
                     stretch.after_s);
        zone_stretch(zone, stretch.end_s, &stretch);
    }
}

static void tell_local(const struct zone *zone, char *line)
{
    static const char *const names[] = {"once", "gap", "fold"};
    int64_t found[2];
    enum zone_fit fit = zone_instants(zone, take_number(&line), found);
    (void)printf("%s %" PRId64, names[fit], found[0]);
    if (fit == ZONE_FOLD) {
        (void)printf(" %" PRId64, found[1]);
    }
}

static void tell_slots(const struct zone *zone, char *line)
{
    struct calendar calendar;
    struct err err = {0};
    struct calendar_rules rules = {0};
    rules.gap = (enum calendar_gap)take_number(&line);
    rules.fold = (enum calendar_fold)take_number(&line);
    int64_t slot_s = take_number(&line) - 1;
    int64_t to_s = take_number(&line);
    if (calendar_parse(line, &calendar, &err) != 0) {
        refuse(err.msg);
    }
    while (calendar_next(&calendar, &rules, zone, slot_s, &slot_s) && slot_s <= to_s) {
        (void)printf("%" PRId64 " ", slot_s);
    }
}

static bool begins(char **line, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*line, word, length) != 0) {
        return false;
    }
    *line += length;
    return true;
}

int main(void)
{
    char buffer[LINE_SIZE];
    struct zone *zone = NULL;
    while (fgets(buffer, sizeof buffer, stdin) != NULL) {
        char *line = buffer;
        buffer[strcspn(buffer, "\n")] = '\0';
        if (begins(&line, "zone ")) {
            zone_destroy(&zone);
            zone = zone_of_system(line);
            (void)printf("ok");
        }
        if (zone == NULL) {
            refuse("no zone");
        }
        if (begins(&line, "changes ")) {
            tell_changes(zone, line);
        } else if (begins(&line, "local ")) {
            tell_local(zone, line);
        } else if (begins(&line, "slots ")) {
            tell_slots(zone, line);
        }
        (void)putchar('\n');
    }
    zone_destroy(&zone);
    return 0;
}
