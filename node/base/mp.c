#include "node/base/mp.h"

#include "node/base/invariant.h"

#include <limits.h>
#include <string.h>

/* A walk over the bytes: no allocation, one counter of open elements per level. */
struct walk {
    const uint8_t *bytes;
    size_t length;
    size_t position;
    const struct mp_limits *limits;
    size_t elements;
};

static bool read_big_endian(struct walk *walk, size_t width, uint64_t *ret)
{
    if (walk->length - walk->position < width) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | walk->bytes[walk->position++];
    }
    *ret = value;
    return true;
}

struct header {
    uint64_t payload;  /* bytes that follow */
    uint64_t children; /* objects that follow */
    bool container;
};

static bool sized(struct walk *walk, size_t width, uint64_t extra, struct header *ret)
{
    if (!read_big_endian(walk, width, &ret->payload)) {
        return false;
    }
    ret->payload += extra;
    return true;
}

static bool container(struct walk *walk, size_t width, uint64_t per_entry, struct header *ret)
{
    uint64_t entries;
    if (!read_big_endian(walk, width, &entries)) {
        return false;
    }
    *ret = (struct header){.children = entries * per_entry, .container = true};
    return true;
}

/* One object's header after its first byte; the MessagePack specification's table of formats. */
static bool read_header(struct walk *walk, struct header *ret)
{
    *ret = (struct header){0};
    uint8_t first = walk->bytes[walk->position++];
    if (first <= 0x7f || first >= 0xe0) {
        return true; /* small integers */
    }
    if (first <= 0x8f) {
        *ret = (struct header){.children = UINT64_C(2) * (first & 0x0fu), .container = true};
        return true;
    }
    if (first <= 0x9f) {
        *ret = (struct header){.children = first & 0x0fu, .container = true};
        return true;
    }
    if (first <= 0xbf) {
        ret->payload = first & 0x1fu;
        return true;
    }
    switch (first) {
    case 0xc0: /* nil, false, true */
    case 0xc2:
    case 0xc3:
        return true;
    case 0xc4: /* bin and str by width of their length */
    case 0xd9:
        return sized(walk, 1, 0, ret);
    case 0xc5:
    case 0xda:
        return sized(walk, 2, 0, ret);
    case 0xc6:
    case 0xdb:
        return sized(walk, 4, 0, ret);
    case 0xcc: /* integers and floats by width */
    case 0xd0:
        ret->payload = 1;
        return true;
    case 0xcd:
    case 0xd1:
        ret->payload = 2;
        return true;
    case 0xca:
    case 0xce:
    case 0xd2:
        ret->payload = 4;
        return true;
    case 0xcb:
    case 0xcf:
    case 0xd3:
        ret->payload = 8;
        return true;
    case 0xdc:
        return container(walk, 2, 1, ret);
    case 0xdd:
        return container(walk, 4, 1, ret);
    case 0xde:
        return container(walk, 2, 2, ret);
    case 0xdf:
        return container(walk, 4, 2, ret);
    default: /* ext types and 0xc1: we use none */
        return false;
    }
}

static int check_object(struct walk *walk, uint64_t open[], size_t *depth, struct err *err)
{
    struct header header;
    if (walk->position >= walk->length || !read_header(walk, &header) ||
        header.payload > walk->length - walk->position) {
        return err_set(err, ERR_PROTO, "message truncated or of unknown type at byte %zu",
                       walk->position);
    }
    walk->position += (size_t)header.payload;
    walk->elements++;
    if (walk->elements > walk->limits->elements ||
        header.children > walk->length - walk->position) {
        return err_set(err, ERR_PROTO, "message has more elements than allowed at byte %zu",
                       walk->position);
    }
    if (!header.container) {
        return 0;
    }
    if (*depth >= walk->limits->depth) {
        return err_set(err, ERR_PROTO, "message is nested deeper than %zu", walk->limits->depth);
    }
    open[(*depth)++] = header.children;
    return 0;
}

int mp_check(const uint8_t *bytes, size_t length, const struct mp_limits *limits, struct err *err)
{
    invariant(limits->depth <= MP_DEPTH_MAX);
    if (length == 0 || length > limits->bytes) {
        return err_set(err, ERR_PROTO, "message of %zu bytes, allowed are 1 to %zu", length,
                       limits->bytes);
    }
    struct walk walk = {.bytes = bytes, .length = length, .limits = limits};
    uint64_t open[MP_DEPTH_MAX];
    size_t depth = 0;
    do {
        int rc = check_object(&walk, open, &depth, err);
        if (rc != 0) {
            return rc;
        }
        while (depth > 0 && open[depth - 1] == 0) {
            depth--;
        }
        if (depth > 0) {
            open[depth - 1]--;
        } else {
            break;
        }
    } while (true);
    if (walk.position != length) {
        return err_set(err, ERR_PROTO, "%zu bytes after the message", length - walk.position);
    }
    return 0;
}

int mp_parse(const uint8_t *bytes, size_t length, const struct mp_limits *limits,
             struct mp_doc *ret, struct err *err)
{
    *ret = (struct mp_doc){0};
    int rc = mp_check(bytes, length, limits, err);
    if (rc != 0) {
        return rc;
    }
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    msgpack_unpack_return got =
        msgpack_unpack_next(&unpacked, (const char *)bytes, length, &offset);
    if (got != MSGPACK_UNPACK_SUCCESS) {
        msgpack_unpacked_destroy(&unpacked);
        return err_set(err, got == MSGPACK_UNPACK_NOMEM_ERROR ? ERR_NOMEM : ERR_PROTO,
                       "message could not be unpacked");
    }
    ret->root = unpacked.data;
    ret->zone = msgpack_unpacked_release_zone(&unpacked);
    return 0;
}

void mp_doc_deinit(struct mp_doc *self)
{
    if (self->zone != NULL) {
        msgpack_zone_free(self->zone);
    }
    *self = (struct mp_doc){0};
}

const msgpack_object *mp_array(const msgpack_object *object, size_t count_min)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_ARRAY ||
        object->via.array.size < count_min) {
        return NULL;
    }
    return object;
}

size_t mp_count(const msgpack_object *object)
{
    if (object == NULL) {
        return 0;
    }
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        return object->via.array.size;
    }
    return object->type == MSGPACK_OBJECT_MAP ? object->via.map.size : 0;
}

const msgpack_object *mp_at(const msgpack_object *array, size_t index)
{
    if (array == NULL || array->type != MSGPACK_OBJECT_ARRAY || index >= array->via.array.size) {
        return NULL;
    }
    return &array->via.array.ptr[index];
}

const msgpack_object *mp_get(const msgpack_object *map, const char *key)
{
    if (map == NULL || map->type != MSGPACK_OBJECT_MAP) {
        return NULL;
    }
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (mp_is(&pair->key, key)) {
            return &pair->val;
        }
    }
    return NULL;
}

bool mp_u64(const msgpack_object *object, uint64_t *ret)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
        return false;
    }
    *ret = object->via.u64;
    return true;
}

bool mp_i64(const msgpack_object *object, int64_t *ret)
{
    if (object == NULL) {
        return false;
    }
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *ret = object->via.i64;
        return true;
    }
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > INT64_MAX) {
        return false;
    }
    *ret = (int64_t)object->via.u64;
    return true;
}

bool mp_u32(const msgpack_object *object, uint32_t *ret)
{
    uint64_t value;
    if (!mp_u64(object, &value) || value > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

bool mp_bool(const msgpack_object *object, bool *ret)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_BOOLEAN) {
        return false;
    }
    *ret = object->via.boolean;
    return true;
}

bool mp_number(const msgpack_object *object, double *ret)
{
    if (object == NULL) {
        return false;
    }
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *ret = (double)object->via.u64;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *ret = (double)object->via.i64;
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *ret = object->via.f64;
        return true;
    default:
        return false;
    }
}

bool mp_bytes(const msgpack_object *object, const uint8_t **ret, size_t *ret_length)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_BIN) {
        return false;
    }
    *ret = (const uint8_t *)object->via.bin.ptr;
    *ret_length = object->via.bin.size;
    return true;
}

bool mp_text(const msgpack_object *object, char *ret, size_t size)
{
    if (object == NULL || object->type != MSGPACK_OBJECT_STR || object->via.str.size >= size) {
        return false;
    }
    /* msgpack-c gives no pointer for an empty string. */
    size_t length = object->via.str.size;
    if (length > 0 && memchr(object->via.str.ptr, '\0', length) != NULL) {
        return false;
    }
    if (length > 0) {
        memcpy(ret, object->via.str.ptr, length);
    }
    ret[length] = '\0';
    return true;
}

bool mp_is(const msgpack_object *object, const char *text)
{
    size_t length = strlen(text);
    return object != NULL && object->type == MSGPACK_OBJECT_STR && object->via.str.size == length &&
           (length == 0 || memcmp(object->via.str.ptr, text, length) == 0);
}

static int packer_write(void *data, const char *bytes, size_t length)
{
    struct buffer *buffer = data;
    return buffer_append(buffer, bytes, length);
}

void mp_writer_init(struct mp_writer *self, size_t bytes_max)
{
    buffer_init(&self->buffer, bytes_max);
    msgpack_packer_init(&self->packer, &self->buffer, packer_write);
}

void mp_writer_deinit(struct mp_writer *self)
{
    buffer_deinit(&self->buffer);
}

void mp_writer_clear(struct mp_writer *self)
{
    buffer_clear(&self->buffer);
}

bool mp_writer_ok(const struct mp_writer *self)
{
    return !self->buffer.failed;
}

/* The packer's own results are dropped below: a failure stays in buffer.failed. */

void mp_put_array(struct mp_writer *self, size_t count)
{
    (void)msgpack_pack_array(&self->packer, count);
}

void mp_put_map(struct mp_writer *self, size_t count)
{
    (void)msgpack_pack_map(&self->packer, count);
}

void mp_put_u64(struct mp_writer *self, uint64_t value)
{
    (void)msgpack_pack_uint64(&self->packer, value);
}

void mp_put_i64(struct mp_writer *self, int64_t value)
{
    (void)msgpack_pack_int64(&self->packer, value);
}

void mp_put_bool(struct mp_writer *self, bool value)
{
    (void)(value ? msgpack_pack_true(&self->packer) : msgpack_pack_false(&self->packer));
}

void mp_put_double(struct mp_writer *self, double value)
{
    (void)msgpack_pack_double(&self->packer, value);
}

void mp_put_nil(struct mp_writer *self)
{
    (void)msgpack_pack_nil(&self->packer);
}

void mp_put_text(struct mp_writer *self, const char *text)
{
    if (text == NULL) {
        mp_put_nil(self);
        return;
    }
    size_t length = strlen(text);
    (void)msgpack_pack_str(&self->packer, length);
    (void)msgpack_pack_str_body(&self->packer, text, length);
}

void mp_put_bytes(struct mp_writer *self, const void *bytes, size_t length)
{
    (void)msgpack_pack_bin(&self->packer, length);
    (void)msgpack_pack_bin_body(&self->packer, bytes, length);
}

void mp_put_raw(struct mp_writer *self, const void *bytes, size_t length)
{
    (void)buffer_append(&self->buffer, bytes, length);
}
