#include "managers/pm2/daemon/amp.h"

#include <string.h>

#define VERSION 1
#define KEPT_BYTES (128 << 10) /* of the memory of one frame, for the next */

void amp_parser_init(struct amp_parser *self, size_t bound)
{
    *self = (struct amp_parser){0};
    buffer_init(&self->bytes, bound);
}

void amp_parser_deinit(struct amp_parser *self)
{
    buffer_deinit(&self->bytes);
}

static void begin_frame(struct amp_parser *self)
{
    if (self->bytes.capacity > KEPT_BYTES) {
        size_t bound = self->bytes.bound;
        buffer_deinit(&self->bytes);
        buffer_init(&self->bytes, bound);
    }
    buffer_clear(&self->bytes);
    self->argc = 0;
    self->arg = 0;
    self->header = 0;
    self->length = 0;
    self->payload = 0;
    self->oversized = false;
    self->complete = false;
}

static int take_meta(struct amp_parser *self, uint8_t meta, struct err *err)
{
    if (meta >> 4 != VERSION || (meta & 0x0f) == 0) {
        return err_set(err, ERR_PROTO, "not an AMP frame: it begins with 0x%02x", meta);
    }
    self->argc = meta & 0x0f;
    return 0;
}

static int take_header_byte(struct amp_parser *self, uint8_t byte, struct err *err)
{
    self->length = self->length << 8 | byte;
    self->header++;
    if (self->header == 4) {
        if (self->length > AMP_ARG_BYTES_MAX) {
            return err_set(err, ERR_PROTO, "an AMP argument of %u bytes", self->length);
        }
        self->offsets[self->arg] = self->bytes.length;
        self->lengths[self->arg] = self->length;
    }
    return 0;
}

static void end_argument_if_whole(struct amp_parser *self)
{
    if (self->header < 4 || self->payload < self->length) {
        return;
    }
    self->arg++;
    self->header = 0;
    self->length = 0;
    self->payload = 0;
    self->complete = self->arg == self->argc;
}

static size_t take_payload(struct amp_parser *self, const uint8_t *bytes, size_t length)
{
    size_t wanted = self->length - self->payload;
    size_t taken = length < wanted ? length : wanted;
    if (!self->oversized && buffer_append(&self->bytes, bytes, taken) != 0) {
        self->oversized = true;
    }
    self->payload += (uint32_t)taken;
    return taken;
}

int amp_parser_feed(struct amp_parser *self, const uint8_t *bytes, size_t length, size_t *ret_used,
                    bool *ret_complete, struct err *err)
{
    size_t used = 0;
    if (self->complete) {
        begin_frame(self);
    }
    while (used < length && !self->complete) {
        int rc = 0;
        if (self->argc == 0) {
            rc = take_meta(self, bytes[used++], err);
        } else if (self->header < 4) {
            rc = take_header_byte(self, bytes[used++], err);
        } else {
            used += take_payload(self, bytes + used, length - used);
        }
        if (rc != 0) {
            return rc;
        }
        end_argument_if_whole(self);
    }
    *ret_used = used;
    *ret_complete = self->complete;
    return 0;
}

unsigned amp_parser_argc(const struct amp_parser *self)
{
    return self->complete && !self->oversized ? self->argc : 0;
}

bool amp_parser_arg(const struct amp_parser *self, unsigned index, struct amp_arg *ret)
{
    if (index >= amp_parser_argc(self)) {
        return false;
    }
    const char *data =
        self->bytes.data == NULL ? "" : (const char *)self->bytes.data + self->offsets[index];
    size_t length = self->lengths[index];
    *ret = (struct amp_arg){.type = AMP_BYTES, .data = data, .length = length};
    if (length >= 2 && data[1] == ':' && (data[0] == 's' || data[0] == 'j')) {
        ret->type = data[0] == 's' ? AMP_TEXT : AMP_JSON;
        ret->data += 2;
        ret->length -= 2;
    }
    return true;
}

static void put_argument(struct buffer *out, char type, const char *text)
{
    size_t length = strlen(text) + 2;
    const uint8_t header[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8),  (uint8_t)length,
                              (uint8_t)type,           ':'};
    (void)buffer_append(out, header, sizeof header);
    (void)buffer_append(out, text, strlen(text));
}

int amp_put_request(struct buffer *out, const char *json, const char *id, struct err *err)
{
    if (json[0] == '\0' || id[0] == '\0' || strlen(json) > AMP_ARG_BYTES_MAX - 2) {
        return err_set(err, ERR_INVALID, "an AMP request needs a call and an id");
    }
    const uint8_t meta = VERSION << 4 | 2;
    (void)buffer_append(out, &meta, 1);
    put_argument(out, 'j', json);
    put_argument(out, 's', id);
    return out->failed ? err_set(err, ERR_FULL, "too much waits for the PM2 daemon") : 0;
}
