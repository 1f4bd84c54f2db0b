'use strict';
/* What the nine share: one loop, one line per unit of work, a decent end.
 *
 * A script calls run({periodMs, unit}). unit() does one piece of real work and returns a word or two
 * about it; it throws when it cannot. Then
 *
 *     SCRIPT               works in a loop until SIGTERM or SIGINT, finishes its unit, exits 0
 *     SCRIPT --once        one unit, as a slot of a schedule has it
 *     SCRIPT --dry         says what one unit would do and changes nothing; exit 1: it could not
 *     SCRIPT --enhanced    looks harder (each script says how)
 *
 * A failed unit ends the process with exit code 1: what started it decides what follows.
 *
 * Environment: NINE_WORK (folder that it works in), NINE_LOG (file of the lines; none: no lines),
 * NINE_NAME, NINE_NODE (where it runs; Understudy says UNDERSTUDY_NODE), NINE_PERIOD_MS (pause
 * between two units). */
const fs = require('fs');
const path = require('path');

const LOG_BYTES_MAX = 64 << 20; // then it is moved to FILE.1
const LOG_LOOK_EVERY = 500; // lines

exports.work = process.env.NINE_WORK || path.join(__dirname, '..', 'work');
exports.node = process.env.UNDERSTUDY_NODE || process.env.NINE_NODE || 'n1';
exports.dry = process.argv.includes('--dry');
exports.once = process.argv.includes('--once');
exports.enhanced = process.argv.includes('--enhanced');

// ---- time ----

/* Node tells CLOCK_MONOTONIC, which stands still while the machine sleeps; the lines are in
 * CLOCK_BOOTTIME, which /proc/uptime tells to a hundredth of a second. Without a sleep since the boot
 * they are the same; after one this is exact to that hundredth. */
let ahead = 0n;

function bootTime() {
  const monotonic = process.hrtime.bigint();
  const uptime = parseFloat(fs.readFileSync('/proc/uptime', 'latin1'));
  const seen = BigInt(Math.round(uptime * 100)) * 10000000n - monotonic;
  if (seen - ahead > 10000000n || ahead - seen > 20000000n) {
    ahead = seen;
  }
  return process.hrtime.bigint() + ahead;
}

// ---- lines ----

const log = { fd: -1, lines: 0 };

/* One of the writers moves a full file away; a lock that is older than the move can take is stale. */
function rotate(file) {
  const lock = `${file}.lock`;
  try {
    fs.mkdirSync(lock);
  } catch (error) {
    if (Date.now() - (fs.statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0) > 10000) {
      fs.rmSync(lock, { recursive: true, force: true });
    }
    return;
  }
  if ((fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) {
    fs.renameSync(file, `${file}.1`);
  }
  fs.rmdirSync(lock);
}

function open(file) {
  if (log.fd >= 0) {
    fs.closeSync(log.fd);
  }
  if ((fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) {
    rotate(file);
  }
  log.fd = fs.openSync(file, 'a', 0o644);
}

/* "BOOTTIME_NS NODE TERM PID ROLE NAME" in one write, so that lines of several writers do not mix.
 * TERM is the fencing token that the guard gives; a primary has none. */
function writeLine() {
  const file = process.env.NINE_LOG;
  if (!file) {
    return;
  }
  if (log.fd < 0 || log.lines++ % LOG_LOOK_EVERY === 0) {
    open(file);
  }
  const term = process.env.UNDERSTUDY_TERM || '-';
  const role = term === '-' ? 'primary' : 'backup';
  const name = process.env.NINE_NAME || path.basename(process.argv[1], '.cjs');
  fs.writeSync(log.fd, `${bootTime()} ${exports.node} ${term} ${process.pid} ${role} ${name}\n`);
}

// ---- the loop ----

let stopping = false;
let wake = () => {};

function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function loop({ periodMs, unit }) {
  const period = Number(process.env.NINE_PERIOD_MS) || periodMs;
  let told = '';
  while (!stopping) {
    const text = await unit();
    writeLine();
    if (text !== told || exports.once) {
      console.log(text);
      told = text;
    }
    if (exports.once) {
      return;
    }
    if (!stopping) {
      await pause(period);
    }
  }
}

exports.run = function run(work) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      stopping = true;
      wake();
    });
  }
  const ended = exports.dry
    ? Promise.resolve().then(work.unit).then((text) => console.log(`dry: ${text}`))
    : loop(work);
  ended.then(
    () => process.exit(0),
    (error) => {
      console.error(error.message);
      process.exit(1);
    },
  );
};

// ---- files ----

/* Every file below `folder`, by its path in it, sorted. */
exports.filesBelow = function filesBelow(folder, below = '') {
  const found = [];
  const entries = fs.readdirSync(path.join(folder, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = path.join(below, entry.name);
    if (entry.isDirectory()) {
      found.push(...filesBelow(folder, name));
    } else if (entry.isFile() && !entry.name.endsWith('.part')) {
      found.push(name);
    }
  }
  return found;
};

/* Whole or not at all, whoever else writes the same file. */
exports.put = function put(file, content) {
  const part = `${file}.${exports.node}.${process.pid}.part`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(part, content);
  fs.renameSync(part, file);
};

exports.sameContent = function sameContent(file, content) {
  try {
    return fs.readFileSync(file).equals(Buffer.from(content));
  } catch (error) {
    return false;
  }
};
