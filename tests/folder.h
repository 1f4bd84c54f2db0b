/* Folders of tests. */
#ifndef UNDERSTUDY_TESTS_FOLDER_H
#define UNDERSTUDY_TESTS_FOLDER_H

/* Removes a folder with all that is in it; links are not followed, and what cannot be removed
 * stays. */
void folder_remove(const char *path);

#endif
