'use strict';
/* build: builds WORK/project when its sources have changed, or an artifact is gone or damaged.
 *
 * NINE_BUILD is the command, for a shell, with the folder for its output in OUT. The artifacts named
 * in NINE_ARTIFACTS must be there and not empty; then they take their place in project/dist, each as
 * a whole, and dist/build.json says of which sources they are. */
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const nine = require('./common.cjs');

const BUILD_TIMEOUT_MS = 60000;

const project = path.join(nine.work, 'project');
const dist = path.join(project, 'dist');
const command = process.env.NINE_BUILD || 'sh ./build.sh';
const artifacts = (process.env.NINE_ARTIFACTS || 'app.txt manifest.json').split(/\s+/);

const sum = (content) => crypto.createHash('sha256').update(content).digest('hex');

function sumOfSources() {
  const all = crypto.createHash('sha256');
  for (const name of nine.filesBelow(project).filter((file) => !file.startsWith('dist'))) {
    all.update(`${name}\0${sum(fs.readFileSync(path.join(project, name)))}\0`);
  }
  return all.digest('hex');
}

/* Of which sources what is there was made; empty when it is not whole. */
function builtFrom() {
  try {
    const built = JSON.parse(fs.readFileSync(path.join(dist, 'build.json'), 'utf8'));
    const whole = artifacts.every(
      (name) => sum(fs.readFileSync(path.join(dist, name))) === built.artifacts[name],
    );
    return whole ? built.sources : '';
  } catch (error) {
    return '';
  }
}

function build(sources) {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'nine-build-'));
  try {
    execFileSync('/bin/sh', ['-c', command], {
      cwd: project,
      env: { ...process.env, OUT: out },
      timeout: BUILD_TIMEOUT_MS,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const made = { sources, artifacts: {} };
    for (const name of artifacts) {
      const content = fs.readFileSync(path.join(out, name));
      if (content.length === 0) {
        throw new Error(`artifact ${name} is empty`);
      }
      made.artifacts[name] = sum(content);
      nine.put(path.join(dist, name), content);
    }
    nine.put(path.join(dist, 'build.json'), `${JSON.stringify(made, null, 2)}\n`);
  } finally {
    fs.rmSync(out, { recursive: true, force: true });
  }
}

function unit() {
  const sources = sumOfSources(); // throws when the folder is missing
  if (builtFrom() === sources) {
    return `sources ${sources.slice(0, 8)} are built`;
  }
  if (!nine.dry) {
    build(sources);
  }
  return `sources ${sources.slice(0, 8)} ${nine.dry ? 'would be built' : 'are built'}`;
}

nine.run({ periodMs: 5000, unit });
