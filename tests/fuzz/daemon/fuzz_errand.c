/* Errands between nodes, and the answers to them: what is accepted is written again as it was. */
#include "node/base/invariant.h"
#include "node/daemon/errand.h"

#include <string.h>

static void check_errand(const struct errand *first)
{
    struct errand second;
    struct mp_writer writer;
    invariant(first->args.length <= ERRAND_ARGS_BYTES_MAX);
    invariant(first->left_ms >= 0 && first->left_ms <= ERRAND_LEFT_MS_MAX);
    invariant(memchr(first->verb, '\0', sizeof first->verb) != NULL);
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    int rc = errand_encode(first, &writer);
    invariant(rc == 0);
    rc = errand_decode(writer.buffer.data, writer.buffer.length, &second, NULL);
    invariant(rc == 0);
    invariant(second.id == first->id && second.left_ms == first->left_ms);
    invariant(second.who.role == first->who.role);
    invariant(strcmp(second.who.name, first->who.name) == 0);
    invariant(strcmp(second.verb, first->verb) == 0);
    invariant(strcmp(second.manager, first->manager) == 0);
    invariant(second.args.length == first->args.length);
    invariant(first->args.length == 0 ||
              memcmp(second.args.data, first->args.data, first->args.length) == 0);
    mp_writer_deinit(&writer);
}

static void check_answer(const struct manager_reply *first)
{
    struct manager_reply second;
    struct mp_writer writer;
    invariant(first->ok || first->result.length == 0);
    mp_writer_init(&writer, ERRAND_ANSWER_BYTES_MAX);
    int rc = errand_answer_encode(first, &writer);
    invariant(rc == 0);
    rc = errand_answer_decode(writer.buffer.data, writer.buffer.length, &second, NULL);
    invariant(rc == 0);
    invariant(second.id == first->id && second.ok == first->ok);
    invariant(strcmp(second.code, first->code) == 0);
    invariant(strcmp(second.message, first->message) == 0);
    invariant(second.result.length == first->result.length);
    invariant(first->result.length == 0 ||
              memcmp(second.result.data, first->result.data, first->result.length) == 0);
    mp_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct errand errand;
    struct manager_reply answer;
    if (errand_decode(data, size, &errand, NULL) == 0) {
        check_errand(&errand);
    }
    if (errand_answer_decode(data, size, &answer, NULL) == 0) {
        check_answer(&answer);
    }
    return 0;
}
