'use strict';
/* The five automations of the example as a team has them under PM2. Understudy reads none of this:
 * what stands in for them is in understudy.yml.
 *
 * NINE_WORK is where they work (default: work/ beside this file), NINE_NODE the node whose PM2 this
 * is, NINE_PERIOD_MS the pause between two units of auto-sync, monitoring and build. */
const path = require('path');

const work = process.env.NINE_WORK || path.join(__dirname, 'work');
const period = process.env.NINE_PERIOD_MS || '5000';

function app(name, more) {
  return {
    name,
    script: path.join(__dirname, 'scripts', `${name}.cjs`),
    cwd: __dirname,
    max_memory_restart: '200M',
    kill_timeout: 3000,
    ...more,
    env: {
      NINE_WORK: work,
      NINE_LOG: path.join(work, 'units.log'),
      NINE_NAME: name,
      NINE_NODE: process.env.NINE_NODE || 'n1',
      NINE_PERIOD_MS: period,
      ...more.env,
    },
  };
}

module.exports = {
  apps: [
    app('auto-sync', { max_restarts: 15 }),
    app('monitoring', {
      max_restarts: 15,
      env: { NINE_CHECKS: 'process:auto-sync.cjs process:build.cjs file:mirror/readme.txt' },
    }),
    app('build', { max_restarts: 10 }),
    app('git-sync', { max_restarts: 10, env: { NINE_PERIOD_MS: String(25 * 60000) } }),
    app('marketing-sync', { max_restarts: 10, env: { NINE_PERIOD_MS: String(6 * 3600000) } }),
  ],
};
