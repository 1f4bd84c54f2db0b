'use strict';
/* git-sync: brings this node's clone, WORK/clones/NODE, to the branch of its remote, WORK/remote.git:
 * fetch, then fast-forward only. A clone with work of its own on the branch is left as it is, and that
 * is an error. Another git at work in the clone is waited for. */
const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const nine = require('./common.cjs');

const remote = process.env.NINE_REMOTE || path.join(nine.work, 'remote.git');
const branch = process.env.NINE_BRANCH || 'main';
const clone = path.join(nine.work, 'clones', nine.node);
const GIT_TIMEOUT_MS = 60000;
const TRIES = 5;

function git(...words) {
  try {
    return execFileSync('git', words, {
      env: { ...process.env, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' },
      timeout: GIT_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    }).trim();
  } catch (error) {
    throw new Error(`git ${words.slice(0, 4).join(' ')}: ${(error.stderr || error.message).trim()}`);
  }
}

async function patiently(action) {
  for (let left = TRIES - 1; ; left--) {
    try {
      return action();
    } catch (error) {
      const busy = /\.lock|cannot lock|already exists and is not/.test(error.message);
      if (!busy || left === 0) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 200 * (TRIES - left)));
    }
  }
}

/* A clone that was cut off while it was made is not there under its name. */
function makeClone() {
  const part = `${clone}.${process.pid}.part`;
  fs.mkdirSync(path.dirname(clone), { recursive: true });
  git('clone', '--quiet', '--branch', branch, remote, part);
  try {
    fs.renameSync(part, clone);
  } catch (error) {
    fs.rmSync(part, { recursive: true, force: true }); // another one was first
  }
}

async function unit() {
  const head = git('ls-remote', '--exit-code', remote, `refs/heads/${branch}`).split(/\s/)[0];
  const there = fs.existsSync(path.join(clone, '.git'));
  const before = there ? git('-C', clone, 'rev-parse', 'HEAD') : 'nothing';
  if (before === head || nine.dry) {
    return before === head ? `${branch} is at ${head.slice(0, 8)}` : `${before.slice(0, 8)}..${head.slice(0, 8)}`;
  }
  if (!there) {
    makeClone();
  }
  await patiently(() => git('-C', clone, 'fetch', '--quiet', 'origin', branch));
  await patiently(() => git('-C', clone, 'merge', '--quiet', '--ff-only', 'FETCH_HEAD'));
  return `${branch} is at ${git('-C', clone, 'rev-parse', 'HEAD').slice(0, 8)}`;
}

nine.run({ periodMs: 25 * 60000, unit });
