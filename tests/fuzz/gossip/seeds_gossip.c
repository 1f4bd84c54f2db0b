/* Writes the fuzzer's seeds: every message as the encoder makes it, and conversations of real nodes
 * with the fuzzed one, whose answers fit its questions. Usage: seeds_gossip FOLDER */
#include "node/base/invariant.h"
#include "tests/fuzz/gossip/subject.h"
#include "tests/unit/gossip/samples.h"

#include <stdio.h>
#include <string.h>

#define CONVERSATION_BYTES 3000
#define PEERS 2 /* n2 and n3, senders 0 and 1 */

struct conversation {
    struct subject subject;
    struct gossip *peers[PEERS];
    FILE *file;
    size_t bytes;
    unsigned steps; /* since the last part */
};

static void write_part(struct conversation *self, unsigned sender, const uint8_t *bytes,
                       size_t length)
{
    if (self->bytes > 0) {
        (void)fwrite(SUBJECT_SEPARATOR, 1, SUBJECT_SEPARATOR_BYTES, self->file);
    }
    (void)fputc((int)(self->steps << 2 | sender), self->file);
    (void)fwrite(bytes, 1, length, self->file);
    self->bytes += length + 5;
    self->steps = 0;
}

/* Hand what a peer has to say to n1, and write it down; what it tells the other is lost. */
static void hear_peer(struct conversation *self, unsigned peer)
{
    struct gossip_action action;
    while (gossip_action_next(self->peers[peer], &action)) {
        if (action.kind == GOSSIP_ACTION_SEND && strcmp(action.name, "n1") == 0) {
            uint8_t part[GOSSIP_MESSAGE_BYTES_MAX + 1];
            invariant(action.length <= GOSSIP_MESSAGE_BYTES_MAX);
            part[0] = (uint8_t)peer; /* no time passes: it has */
            memcpy(part + 1, action.bytes, action.length);
            write_part(self, peer, action.bytes, action.length);
            subject_take(&self->subject, part, action.length + 1);
        }
    }
}

static void tell_peer(void *context, const struct gossip_action *action)
{
    struct conversation *self = context;
    unsigned peer = (unsigned)(action->name[1] - '2');
    if (peer < PEERS && self->peers[peer] != NULL) {
        gossip_receive(self->peers[peer], self->subject.now_ms, "n1", action->bytes,
                       action->length);
    }
}

static void converse(FILE *file, unsigned event)
{
    struct conversation self = {.file = file};
    self.subject.context = &self;
    subject_begin(&self.subject);
    self.subject.on_send = tell_peer;
    for (unsigned i = 0; i < PEERS; i++) {
        self.peers[i] = subject_make_node(i == 0 ? "n2" : "n3");
    }
    if (event > 0) { /* something happens to n3 first */
        uint8_t part[2] = {0, (uint8_t)(1u << 3 | (event - 1))};
        write_part(&self, 0, part + 1, 1);
        subject_take(&self.subject, part, sizeof part);
    }
    for (unsigned step = 0; step < 60 && self.bytes < CONVERSATION_BYTES; step++) {
        subject_pass(&self.subject, 1);
        self.steps++;
        for (unsigned i = 0; i < PEERS; i++) {
            gossip_tick(self.peers[i], self.subject.now_ms);
            hear_peer(&self, i);
        }
    }
    for (unsigned i = 0; i < PEERS; i++) {
        gossip_destroy(&self.peers[i]);
    }
    subject_end(&self.subject);
}

static void write_sample(FILE *file, size_t index)
{
    struct mp_writer writer;
    sample_encode(index, &writer);
    (void)fputc(0, file); /* the sender n2, no time passes */
    (void)fwrite(writer.buffer.data, 1, writer.buffer.length, file);
    mp_writer_deinit(&writer);
}

int main(int argc, char **argv)
{
    const size_t conversations = 8; /* one undisturbed, and one for each of the first events */
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < SAMPLE_COUNT + conversations; i++) {
        char path[512];
        bool sample = i < SAMPLE_COUNT;
        (void)snprintf(path, sizeof path, "%s/%s-%zu", argv[1], sample ? "message" : "conversation",
                       sample ? i + 1 : i - SAMPLE_COUNT);
        FILE *file = fopen(path, "wb");
        if (file == NULL) {
            perror(path);
            return 1;
        }
        if (sample) {
            write_sample(file, i);
        } else {
            converse(file, (unsigned)(i - SAMPLE_COUNT));
        }
        bool good = ferror(file) == 0;
        if (fclose(file) != 0 || !good) {
            perror(path);
            return 1;
        }
    }
    return 0;
}
