/* libfyaml 0.7.12 forgets some KiB for each single-quoted text with more than some fifty quotes in
 * it (fy_atom_format_text); what we forget of its objects the unit tests find. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}
