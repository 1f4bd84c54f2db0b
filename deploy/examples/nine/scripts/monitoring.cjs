'use strict';
/* monitoring: makes the checks of NINE_CHECKS (parted by blanks) and writes WORK/status.json.
 *
 *     http://127.0.0.1:PORT/PATH   answers with a status under 400 within two seconds
 *     process:TEXT                 a process has TEXT in its command line
 *     file:PATH                    the file is there and not empty; relative to WORK
 *
 * A failing check is news, not an error: the unit has done its work. With --enhanced a failing check
 * is made three times before it counts, and the room on the disk is looked at. */
const fs = require('fs');
const http = require('http');
const path = require('path');
const nine = require('./common.cjs');

const HTTP_TIMEOUT_MS = 2000;

function checkHttp(url) {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: HTTP_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode < 400 ? '' : `status ${response.statusCode}`);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', (error) => resolve(error.code || error.message));
  });
}

function checkProcess(text) {
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (Number(pid) !== process.pid && fs.readFileSync(`/proc/${pid}/cmdline`).includes(text)) {
        return '';
      }
    } catch (error) {
      // it has ended meanwhile, or is not ours to look at
    }
  }
  return 'no such process';
}

function checkFile(file) {
  const info = fs.statSync(path.resolve(nine.work, file), { throwIfNoEntry: false });
  return info === undefined ? 'missing' : info.size === 0 ? 'empty' : '';
}

function checkDisk() {
  const disk = fs.statfsSync(nine.work);
  return disk.bavail * 20 < disk.blocks ? 'less than 5 % free' : '';
}

async function once(what) {
  if (/^https?:/.test(what)) {
    return checkHttp(what);
  }
  const [kind, rest] = [what.slice(0, what.indexOf(':')), what.slice(what.indexOf(':') + 1)];
  const checks = { process: checkProcess, file: checkFile, disk: checkDisk };
  if (checks[kind] === undefined) {
    throw new Error(`NINE_CHECKS: "${what}" is no check`);
  }
  return checks[kind](rest);
}

async function check(what) {
  const started = Date.now();
  let why = await once(what);
  for (let i = 1; why !== '' && nine.enhanced && i < 3; i++) {
    why = await once(what);
  }
  return { what, ok: why === '', why: why || null, ms: Date.now() - started };
}

async function unit() {
  const wanted = (process.env.NINE_CHECKS || '').split(/\s+/).filter(Boolean);
  if (nine.enhanced) {
    wanted.push('disk:');
  }
  const results = await Promise.all(wanted.map(check));
  const bad = results.filter((row) => !row.ok);
  const status = { time: new Date().toISOString(), node: nine.node, ok: bad.length === 0, results };
  if (!nine.dry) {
    nine.put(path.join(nine.work, 'status.json'), `${JSON.stringify(status, null, 2)}\n`);
  }
  return `${results.length} checks, failing: ${bad.map((row) => row.what).join(' ') || 'none'}`;
}

nine.run({ periodMs: 5000, unit });
