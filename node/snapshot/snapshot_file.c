#include "node/snapshot/snapshot_file.h"

#include "node/base/buffer.h"
#include "node/base/mp.h"
#include "node/storage/checksum.h"

#include <inttypes.h>
#include <string.h>

#define MAGIC_SIZE 16
#define FIXED_SIZE 24 /* magic, version, bytes of the header */
#define SUM_SIZE 8
#define HEADER_FIELDS 10

static const uint8_t magic[MAGIC_SIZE] = {'u', 'n', 'd', 'e', 'r', 's', 't', 'u',
                                          'd', 'y', '-', 's', 't', 'a', 't', 'e'};

static const struct mp_limits header_limits = {
    .bytes = SNAPSHOT_FILE_HEADER_MAX, .elements = 256, .depth = 4};

/* ---- numbers ---- */

static void put_number(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i) & 0xff);
    }
}

static uint64_t get_number(const uint8_t *at, size_t size)
{
    uint64_t ret = 0;
    for (size_t i = size; i > 0; i--) {
        ret = ret << 8 | at[i - 1];
    }
    return ret;
}

/* ---- writing ---- */

static void put_header(struct mp_writer *writer, const struct snapshot_about *about,
                       const uint8_t *state, size_t length)
{
    mp_put_array(writer, HEADER_FIELDS);
    mp_put_text(writer, about->cluster);
    mp_put_u64(writer, about->cluster_id);
    mp_put_text(writer, about->node);
    mp_put_text(writer, about->program);
    mp_put_u64(writer, about->term);
    mp_put_u64(writer, about->index);
    mp_put_i64(writer, about->saved_wall_ms);
    mp_put_bool(writer, about->stale);
    mp_put_u64(writer, length);
    mp_put_u64(writer, checksum_bytes(CHECKSUM_START, state, length));
}

static int put_file(struct buffer *out, const struct mp_writer *header, const uint8_t *state,
                    size_t length)
{
    uint8_t fixed[FIXED_SIZE];
    uint8_t sum[SUM_SIZE];
    memcpy(fixed, magic, MAGIC_SIZE);
    put_number(fixed + MAGIC_SIZE, SNAPSHOT_FILE_VERSION, 4);
    put_number(fixed + MAGIC_SIZE + 4, header->buffer.length, 4);
    uint64_t checksum = checksum_bytes(CHECKSUM_START, fixed, sizeof fixed);
    checksum = checksum_bytes(checksum, header->buffer.data, header->buffer.length);
    put_number(sum, checksum, sizeof sum);
    (void)buffer_append(out, fixed, sizeof fixed);
    (void)buffer_append(out, header->buffer.data, header->buffer.length);
    (void)buffer_append(out, sum, sizeof sum);
    (void)buffer_append(out, state, length);
    return out->failed ? ERR_NOMEM : 0;
}

int snapshot_file_encode(const struct snapshot_about *about, const uint8_t *state, size_t length,
                         uint8_t **ret, size_t *ret_length, struct err *err)
{
    if (length > SNAPSHOT_BYTES_MAX) {
        return err_set(err, ERR_FULL, "the state has %zu bytes, %d are allowed", length,
                       SNAPSHOT_BYTES_MAX);
    }
    struct mp_writer header;
    struct buffer out;
    mp_writer_init(&header, SNAPSHOT_FILE_HEADER_MAX);
    buffer_init(&out, SNAPSHOT_FILE_BYTES_MAX);
    put_header(&header, about, state, length);
    int rc = mp_writer_ok(&header) ? put_file(&out, &header, state, length) : ERR_NOMEM;
    if (rc == 0) {
        *ret = buffer_take(&out, ret_length);
    } else {
        (void)err_set(err, rc, "out of memory for a snapshot");
    }
    buffer_deinit(&out);
    mp_writer_deinit(&header);
    return rc;
}

/* ---- reading ---- */

static int cut_short(struct err *err, size_t length, uint64_t wanted)
{
    return err_set(err, ERR_CORRUPT, "it is cut short at byte %zu of %" PRIu64, length, wanted);
}

/* Up to where the header begins; *ret_header is its length. */
static int read_fixed(const uint8_t *bytes, size_t length, size_t *ret_header, struct err *err)
{
    size_t known = length < MAGIC_SIZE ? length : MAGIC_SIZE;
    if (length == 0 || memcmp(bytes, magic, known) != 0) {
        return err_set(err, ERR_INVALID, length == 0 ? "it is empty" : "it is no saved snapshot");
    }
    if (length < FIXED_SIZE) {
        return err_set(err, ERR_CORRUPT, "it is cut short at byte %zu, within its beginning",
                       length);
    }
    uint64_t version = get_number(bytes + MAGIC_SIZE, 4);
    uint64_t header = get_number(bytes + MAGIC_SIZE + 4, 4);
    if (version > SNAPSHOT_FILE_VERSION) {
        return err_set(err, ERR_UNSUPPORTED,
                       "it has format version %" PRIu64 ", and this program knows up to %d",
                       version, SNAPSHOT_FILE_VERSION);
    }
    if (version == 0 || header == 0 || header > SNAPSHOT_FILE_HEADER_MAX) {
        return err_set(err, ERR_CORRUPT, "its beginning is damaged (bytes 16 to 23)");
    }
    if (length < FIXED_SIZE + header + SUM_SIZE) {
        return cut_short(err, length, FIXED_SIZE + header + SUM_SIZE);
    }
    *ret_header = (size_t)header;
    return 0;
}

static bool get_header(const msgpack_object *array, struct snapshot_about *ret,
                       uint64_t *ret_length)
{
    return mp_array(array, HEADER_FIELDS) != NULL &&
           mp_text(mp_at(array, 0), ret->cluster, sizeof ret->cluster) &&
           mp_u32(mp_at(array, 1), &ret->cluster_id) &&
           mp_text(mp_at(array, 2), ret->node, sizeof ret->node) &&
           mp_text(mp_at(array, 3), ret->program, sizeof ret->program) &&
           mp_u64(mp_at(array, 4), &ret->term) && mp_u64(mp_at(array, 5), &ret->index) &&
           mp_i64(mp_at(array, 6), &ret->saved_wall_ms) && mp_bool(mp_at(array, 7), &ret->stale) &&
           mp_u64(mp_at(array, 8), ret_length) && mp_u64(mp_at(array, 9), &ret->checksum);
}

static int read_header(const uint8_t *bytes, size_t header, struct snapshot_about *ret,
                       uint64_t *ret_length, struct err *err)
{
    uint64_t checksum = checksum_bytes(CHECKSUM_START, bytes, FIXED_SIZE + header);
    if (checksum != get_number(bytes + FIXED_SIZE + header, SUM_SIZE)) {
        return err_set(err, ERR_CORRUPT, "the checksum of its header does not fit (bytes 0 to %zu)",
                       FIXED_SIZE + header + SUM_SIZE - 1);
    }
    struct mp_doc doc;
    if (mp_parse(bytes + FIXED_SIZE, header, &header_limits, &doc, err) != 0) {
        return err_set(err, ERR_CORRUPT, "its header is malformed");
    }
    bool good = get_header(&doc.root, ret, ret_length) && *ret_length <= SNAPSHOT_BYTES_MAX;
    mp_doc_deinit(&doc);
    return good ? 0 : err_set(err, ERR_CORRUPT, "a field of its header is malformed");
}

int snapshot_file_decode(const uint8_t *bytes, size_t length, struct snapshot_about *ret,
                         const uint8_t **ret_state, size_t *ret_length, struct err *err)
{
    size_t header = 0;
    uint64_t wanted = 0;
    struct snapshot_about about = {0};
    int rc = read_fixed(bytes, length, &header, err);
    rc = rc != 0 ? rc : read_header(bytes, header, &about, &wanted, err);
    if (rc != 0) {
        return rc;
    }
    size_t begin = FIXED_SIZE + header + SUM_SIZE;
    if (length - begin < wanted) {
        return cut_short(err, length, begin + wanted);
    }
    if (length - begin > wanted) {
        return err_set(err, ERR_CORRUPT, "it has %zu bytes, and should end at %" PRIu64, length,
                       begin + wanted);
    }
    if (checksum_bytes(CHECKSUM_START, bytes + begin, length - begin) != about.checksum) {
        return err_set(err, ERR_CORRUPT,
                       "the checksum of its contents does not fit (bytes %zu to %zu)", begin,
                       length - 1);
    }
    *ret = about;
    *ret_state = bytes + begin;
    *ret_length = length - begin;
    return 0;
}
