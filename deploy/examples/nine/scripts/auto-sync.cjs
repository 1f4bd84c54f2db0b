'use strict';
/* auto-sync: keeps WORK/mirror the same as WORK/source. What is new or changed is copied, what is gone
 * is removed. A file counts as unchanged by its size and time; with --enhanced by its content, so a
 * damaged copy is found, too. */
const fs = require('fs');
const path = require('path');
const nine = require('./common.cjs');

const source = path.join(nine.work, 'source');
const mirror = path.join(nine.work, 'mirror');

function unchanged(name) {
  const from = fs.statSync(path.join(source, name));
  const to = fs.statSync(path.join(mirror, name), { throwIfNoEntry: false });
  if (to === undefined || to.size !== from.size) {
    return false;
  }
  return nine.enhanced
    ? nine.sameContent(path.join(mirror, name), fs.readFileSync(path.join(source, name)))
    : Math.floor(to.mtimeMs) >= Math.floor(from.mtimeMs);
}

function unit() {
  const wanted = nine.filesBelow(source); // throws when the folder is missing
  if (!nine.dry) {
    fs.mkdirSync(mirror, { recursive: true });
  }
  const there = fs.existsSync(mirror) ? nine.filesBelow(mirror) : [];
  const copies = wanted.filter((name) => !unchanged(name));
  const removals = there.filter((name) => !wanted.includes(name));
  if (!nine.dry) {
    for (const name of copies) {
      nine.put(path.join(mirror, name), fs.readFileSync(path.join(source, name)));
    }
    for (const name of removals) {
      fs.rmSync(path.join(mirror, name), { force: true });
    }
  }
  return `${wanted.length} files, ${copies.length} copied, ${removals.length} removed`;
}

nine.run({ periodMs: 5000, unit });
