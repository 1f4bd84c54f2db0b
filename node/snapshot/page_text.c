#include "node/snapshot/page_text.h"

/* And, behind them, what fills up the last group. */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

void page_text_encode(const uint8_t *bytes, size_t length, char *ret)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
        ret[out++] = digits[group >> 18];
        ret[out++] = digits[group >> 12 & 63];
        ret[out++] = digits[left > 1 ? group >> 6 & 63 : 64];
        ret[out++] = digits[left > 2 ? group & 63 : 64];
    }
    ret[out] = '\0';
}

/* 64: it is none. */
static uint32_t digit_of(char character)
{
    if (character >= 'A' && character <= 'Z') {
        return (uint32_t)(character - 'A');
    }
    if (character >= 'a' && character <= 'z') {
        return (uint32_t)(character - 'a') + 26;
    }
    if (character >= '0' && character <= '9') {
        return (uint32_t)(character - '0') + 52;
    }
    if (character == '+') {
        return 62;
    }
    return character == '/' ? 63 : 64;
}

/* Four characters into at most three bytes; 0: they are no group. Only the last group may be short,
 * and what a short one leaves over must be 0, so that bytes have one text. */
static size_t decode_group(const char *text, bool last, uint8_t ret[3])
{
    size_t count = text[3] != '=' ? 4 : (text[2] != '=' ? 3 : 2);
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t digit = i < count ? digit_of(text[i]) : 0;
        if (digit == 64) {
            return 0;
        }
        group = group << 6 | digit;
    }
    ret[0] = (uint8_t)(group >> 16);
    ret[1] = (uint8_t)(group >> 8 & 0xff);
    ret[2] = (uint8_t)(group & 0xff);
    bool rest = (count == 2 && (group & 0xffff) != 0) || (count == 3 && (group & 0xff) != 0);
    return (count < 4 && !last) || rest ? 0 : count - 1;
}

int page_text_decode(const char *text, size_t length, struct buffer *ret, struct err *err)
{
    struct buffer bytes;
    int rc = length % 4 != 0 ? ERR_PROTO : 0;
    buffer_init(&bytes, length);
    for (size_t i = 0; rc == 0 && i < length; i += 4) {
        uint8_t group[3];
        size_t count = decode_group(text + i, i + 4 == length, group);
        rc = count == 0 ? ERR_PROTO : buffer_append(&bytes, group, count);
    }
    if (rc == 0 && bytes.length > 0) {
        rc = buffer_append(ret, bytes.data, bytes.length);
    }
    buffer_deinit(&bytes);
    if (rc == 0) {
        return 0;
    }
    return rc == ERR_PROTO ? err_set(err, rc, "%zu characters are no base64", length)
                           : err_set(err, ERR_FULL, "too many bytes, or out of memory");
}
