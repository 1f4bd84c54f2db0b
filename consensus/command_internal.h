/* What the files of the commands' encoding share. */
#ifndef UNDERSTUDY_CONSENSUS_COMMAND_INTERNAL_H
#define UNDERSTUDY_CONSENSUS_COMMAND_INTERNAL_H

#include "consensus/command.h"

#define COMMAND_TYPE_LAST COMMAND_DUTY_PROVEN

/* Writes on while `ok`; the first value outside its bounds ends that. */
struct command_encoder {
    struct mp_writer *writer;
    bool ok;
};

void command_put_text(struct command_encoder *encoder, const char *text, size_t size);
/* A name may not be empty. */
void command_put_name(struct command_encoder *encoder, const char *text, size_t size);
void command_put_choice(struct command_encoder *encoder, int value, int first, int last);
/* The payload of a command of command_work.h. */
void command_put_work(struct command_encoder *encoder, const struct command *command);
void command_put_definition(struct command_encoder *encoder, const struct schedule_definition *is);

bool command_get_name(const msgpack_object *object, char *ret, size_t size);
bool command_get_choice(const msgpack_object *object, int first, int last, int *ret);
bool command_get_work(enum command_type type, const msgpack_object *payload, struct command *ret);
bool command_get_definition(const msgpack_object *array, struct schedule_definition *ret);
/* Three elements from `first` on. */
bool command_get_run_key(const msgpack_object *array, size_t first, struct run_key *ret);

/* A slot that an id can tell, or a number, and a schedule's name. */
bool command_run_key_valid(const struct run_key *key);

#endif
