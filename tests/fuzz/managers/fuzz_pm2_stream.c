/* Any bytes as what a PM2 daemon sends: frames, answers and lists. The first byte chooses how the
 * stream is cut into pieces, which must make no difference. */
#include "managers/pm2/amp.h"
#include "managers/pm2/entry.h"
#include "managers/pm2/request.h"
#include "node/base/invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_frame(const struct amp_parser *parser)
{
    static struct entries entries;
    struct amp_arg body;
    if (!amp_parser_arg(parser, 0, &body) || body.type != AMP_JSON) {
        return;
    }
    json_t *reply = json_loadb(body.data, body.length, JSON_ALLOW_NUL, NULL);
    json_t *result = NULL;
    struct err err;
    if (reply != NULL && request_read_reply(reply, &result, &err) == 0) {
        (void)entries_read(result, &entries, &err);
    }
    json_decref(result);
    json_decref(reply);
}

/* Returns the frames; *ret_failed: the stream was given up. */
static unsigned feed(const uint8_t *data, size_t size, size_t piece, bool *ret_failed)
{
    struct amp_parser parser;
    unsigned frames = 0;
    amp_parser_init(&parser, 4096);
    *ret_failed = false;
    for (size_t done = 0; done < size && !*ret_failed;) {
        size_t used = 0;
        bool complete = false;
        size_t part = size - done < piece ? size - done : piece;
        *ret_failed = amp_parser_feed(&parser, data + done, part, &used, &complete, NULL) != 0;
        invariant(*ret_failed || used > 0);
        done += used;
        if (complete && !*ret_failed) {
            frames++;
            take_frame(&parser);
        }
    }
    amp_parser_deinit(&parser);
    return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    bool whole_failed;
    bool cut_failed;
    unsigned whole = feed(data + 1, size - 1, size, &whole_failed);
    unsigned cut = feed(data + 1, size - 1, 1 + data[0], &cut_failed);
    invariant(whole == cut);
    invariant(whole_failed == cut_failed);
    return 0;
}
