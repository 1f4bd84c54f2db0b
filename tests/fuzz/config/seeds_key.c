#include "node/config/key_files.h"
#include "tests/fuzz/seed.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The files that the encoder writes, read back as they are. */
static void copy_seed(const char *folder, const char *from, const char *suffix, const char *to)
{
    char path[KEY_PATH_SIZE];
    char text[KEY_FILE_BYTES_MAX];
    if (key_path(from, "n1", suffix, path, NULL) != 0) {
        exit(1);
    }
    FILE *file = fopen(path, "rb");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file == NULL || fclose(file) != 0 || unlink(path) != 0) {
        exit(1);
    }
    seed_write(folder, to, -1, text, length);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/understudy-seeds-XXXXXX";
    struct key_own key;
    if (argc != 2 || mkdtemp(folder) == NULL || keys_generate("n1", KEY_NODE, &key, NULL) != 0) {
        return 1;
    }
    /* The same bytes on every run. */
    memset(key.public_key, 'a', PUBLIC_KEY_SIZE - 1);
    memset(key.secret_key, 'b', PUBLIC_KEY_SIZE - 1);
    if (key_file_write(folder, &key, false, NULL) != 0 ||
        key_file_write(folder, &key, true, NULL) != 0) {
        return 1;
    }
    copy_seed(argv[1], folder, KEY_SUFFIX, "public");
    copy_seed(argv[1], folder, KEY_SECRET_SUFFIX, "secret");
    return rmdir(folder) == 0 ? 0 : 1;
}
