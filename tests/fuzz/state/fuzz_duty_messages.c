/* Any bytes as one of the small messages; the first byte chooses which. What decodes can be
 * encoded again. */
#include "consensus/evidence.h"
#include "consensus/grants_message.h"
#include "node/base/invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(uint8_t kind, const uint8_t *bytes, size_t length, struct mp_writer *writer)
{
    static struct grants_renew renew;
    static struct grants_grant grant;
    static struct grants_release release;
    struct obituary obituary;
    struct evidence_message evidence;
    switch (kind % 5) {
    case 0:
        invariant(grants_renew_decode(bytes, length, &renew, NULL) != 0 ||
                  grants_renew_encode(&renew, writer) == 0);
        return;
    case 1:
        invariant(grants_grant_decode(bytes, length, &grant, NULL) != 0 ||
                  grants_grant_encode(&grant, writer) == 0);
        return;
    case 2:
        invariant(grants_release_decode(bytes, length, &release, NULL) != 0 ||
                  grants_release_encode(&release, writer) == 0);
        return;
    case 3:
        invariant(obituary_decode(bytes, length, &obituary, NULL) != 0 ||
                  obituary_encode(&obituary, writer) == 0);
        return;
    default:
        invariant(evidence_decode(bytes, length, &evidence, NULL) != 0 ||
                  evidence_encode(&evidence, writer) == 0);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    check(bytes[0], bytes + 1, length - 1, &writer);
    mp_writer_deinit(&writer);
    return 0;
}
