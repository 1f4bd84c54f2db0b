/* What node runs to evaluate a file; see evaluate.h. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_EVALUATE_SCRIPT_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_EVALUATE_SCRIPT_H

/* Arguments: FILE WAYS [ENV_NAME]. One line of JSON goes to descriptor 3. */
extern const char evaluate_script[];

#endif
