#include "node/base/doc.h"

#include "node/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int write_value(const json_t *value, size_t depth, struct mp_writer *writer,
                       struct err *err);

static void write_text(struct mp_writer *writer, const char *text, size_t length)
{
    /* The packer's results are dropped: a failure stays in buffer.failed. */
    (void)msgpack_pack_str(&writer->packer, length);
    (void)msgpack_pack_str_body(&writer->packer, text, length);
}

static int write_object(const json_t *object, size_t depth, struct mp_writer *writer,
                        struct err *err)
{
    mp_put_map(writer, json_object_size(object));
    const char *key;
    json_t *value;
    void *iterator = json_object_iter(doc_writable(object));
    while (iterator != NULL) {
        key = json_object_iter_key(iterator);
        value = json_object_iter_value(iterator);
        write_text(writer, key, json_object_iter_key_len(iterator));
        int rc = write_value(value, depth, writer, err);
        if (rc != 0) {
            return rc;
        }
        iterator = json_object_iter_next(doc_writable(object), iterator);
    }
    return 0;
}

static int write_array(const json_t *array, size_t depth, struct mp_writer *writer, struct err *err)
{
    size_t count = json_array_size(array);
    mp_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        int rc = write_value(json_array_get(array, i), depth, writer, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int write_value(const json_t *value, size_t depth, struct mp_writer *writer, struct err *err)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        if (depth >= MP_DEPTH_MAX) {
            return err_set(err, ERR_INVALID, "document is nested deeper than %d", MP_DEPTH_MAX);
        }
        return json_is_object(value) ? write_object(value, depth + 1, writer, err)
                                     : write_array(value, depth + 1, writer, err);
    case JSON_STRING:
        write_text(writer, json_string_value(value), json_string_length(value));
        return 0;
    case JSON_INTEGER:
        mp_put_i64(writer, json_integer_value(value));
        return 0;
    case JSON_REAL:
        mp_put_double(writer, json_real_value(value));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        mp_put_bool(writer, json_is_true(value));
        return 0;
    case JSON_NULL:
    default:
        mp_put_nil(writer);
        return 0;
    }
}

int doc_to_msgpack(const json_t *document, struct mp_writer *writer, struct err *err)
{
    int rc = write_value(document, 0, writer, err);
    if (rc != 0) {
        return rc;
    }
    if (!mp_writer_ok(writer)) {
        return err_set(err, ERR_FULL, "document is larger than %zu bytes", writer->buffer.bound);
    }
    return 0;
}

static int read_value(const msgpack_object *from, size_t depth, json_t **ret, struct err *err);

static int read_array(const msgpack_object *from, size_t depth, json_t **ret, struct err *err)
{
    json_t *array = json_array();
    if (array == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory for a document");
    }
    for (uint32_t i = 0; i < from->via.array.size; i++) {
        json_t *value = NULL;
        int rc = read_value(&from->via.array.ptr[i], depth, &value, err);
        if (rc != 0) {
            json_decref(array);
            return rc;
        }
        if (json_array_append_new(array, value) != 0) {
            json_decref(array);
            return err_set(err, ERR_NOMEM, "out of memory for a document");
        }
    }
    *ret = array;
    return 0;
}

static int read_member(json_t *object, const msgpack_object_kv *pair, size_t depth, struct err *err)
{
    if (pair->key.type != MSGPACK_OBJECT_STR) {
        return err_set(err, ERR_PROTO, "a key of a map is no text");
    }
    const char *key = pair->key.via.str.ptr;
    size_t length = pair->key.via.str.size;
    if (length > 0 && memchr(key, '\0', length) != NULL) {
        return err_set(err, ERR_PROTO, "a key of a map holds a NUL");
    }
    if (json_object_getn(object, length == 0 ? "" : key, length) != NULL) {
        return err_set(err, ERR_PROTO, "a key of a map comes twice");
    }
    json_t *value = NULL;
    int rc = read_value(&pair->val, depth, &value, err);
    if (rc != 0) {
        return rc;
    }
    if (json_object_setn_new(object, length == 0 ? "" : key, length, value) != 0) {
        return err_set(err, ERR_PROTO, "a key of a map is not UTF-8");
    }
    return 0;
}

static int read_map(const msgpack_object *from, size_t depth, json_t **ret, struct err *err)
{
    json_t *object = json_object();
    if (object == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory for a document");
    }
    for (uint32_t i = 0; i < from->via.map.size; i++) {
        int rc = read_member(object, &from->via.map.ptr[i], depth, err);
        if (rc != 0) {
            json_decref(object);
            return rc;
        }
    }
    *ret = object;
    return 0;
}

static int read_scalar(const msgpack_object *from, json_t **ret, struct err *err)
{
    json_t *value = NULL;
    switch (from->type) {
    case MSGPACK_OBJECT_NIL:
        value = json_null();
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        value = json_boolean(from->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (from->via.u64 > INT64_MAX) {
            return err_set(err, ERR_PROTO, "an integer is above the largest of 63 bits");
        }
        value = json_integer((json_int_t)from->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        value = json_integer(from->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        value = doc_real(from->via.f64);
        break;
    case MSGPACK_OBJECT_STR:
        value = json_stringn(from->via.str.size == 0 ? "" : from->via.str.ptr, from->via.str.size);
        break;
    default:
        break;
    }
    if (value == NULL) {
        return err_set(err, ERR_PROTO, "a value is neither text in UTF-8, number, nor bool");
    }
    *ret = value;
    return 0;
}

static int read_value(const msgpack_object *from, size_t depth, json_t **ret, struct err *err)
{
    if (from->type != MSGPACK_OBJECT_ARRAY && from->type != MSGPACK_OBJECT_MAP) {
        return read_scalar(from, ret, err);
    }
    if (depth >= MP_DEPTH_MAX) {
        return err_set(err, ERR_PROTO, "document is nested deeper than %d", MP_DEPTH_MAX);
    }
    return from->type == MSGPACK_OBJECT_MAP ? read_map(from, depth + 1, ret, err)
                                            : read_array(from, depth + 1, ret, err);
}

int doc_from_object(const msgpack_object *object, json_t **ret, struct err *err)
{
    if (object == NULL) {
        return err_set(err, ERR_PROTO, "the document is missing");
    }
    json_t *value = NULL;
    int rc = read_value(object, 0, &value, err);
    if (rc == 0) {
        *ret = value;
    }
    return rc;
}

int doc_from_msgpack(const uint8_t *bytes, size_t length, const struct mp_limits *limits,
                     json_t **ret, struct err *err)
{
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    rc = doc_from_object(&parsed.root, ret, err);
    mp_doc_deinit(&parsed);
    return rc;
}

json_t *doc_time(int64_t wall_ms)
{
    char text[CLOCK_RFC3339_SIZE];
    return wall_ms < 0 ? json_null() : json_string(clock_rfc3339(wall_ms, text));
}

json_t *doc_text(const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return json_null();
    }
    json_t *value = json_string(text);
    if (value != NULL) {
        return value;
    }
    /* Names of foreign processes can hold any bytes: show what is not ASCII as '?'. */
    char *mended = strdup(text);
    if (mended == NULL) {
        return NULL;
    }
    for (char *at = mended; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80) {
            *at = '?';
        }
    }
    value = json_string(mended);
    free(mended);
    return value;
}

json_t *doc_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *doc_rounded(double value, int decimals)
{
    static const double factors[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    if (decimals < 0 || decimals > 6) {
        return doc_real(value);
    }
    return doc_real(round(value * factors[decimals]) / factors[decimals]);
}

json_t *doc_count_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

const char *doc_get_text(const json_t *object, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? fallback : text;
}

int64_t doc_get_integer(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool doc_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

char *doc_dump(const json_t *document)
{
    /* Twelve digits are more than any figure of ours has, and print 97.3 as 97.3. */
    return json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
}
