#!/bin/sh
# The build of the sample project: src/*.txt become $OUT/app.txt, with a manifest.
set -eu
: "${OUT:?where the artifacts go}"
cat src/*.txt >"$OUT/app.txt"
printf '{"files": %s, "bytes": %s}\n' "$(ls src/*.txt | wc -l)" "$(wc -c <"$OUT/app.txt")" \
    >"$OUT/manifest.json"
