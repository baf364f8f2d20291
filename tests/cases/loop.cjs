// The loop around a leak: a fifth of the iterations to warm up, the rest as load, a garbage collection after each part. Prints one line of
// JSON: the iterations of both. ITERATIONS changes their number. Runs on Node 10 and later and on Bun.
// Where an agent is loaded it marks the run phases warmup, load and settle.
'use strict';
if (typeof globalThis === 'undefined') global.globalThis = global;
const phase = (name) => {
  const agent = globalThis.leaktrace;
  if (agent && agent.phase) agent.phase(name);
};

const collect = async () => {
  for (let i = 0; i < 3; i++) {
    if (typeof Bun !== 'undefined') Bun.gc(true);
    else globalThis.gc();
    // Finalizers and second-pass callbacks run from the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }
};

exports.loop = async (iterations, body) => {
  const total = Number(process.env.ITERATIONS || iterations);
  const warmup = Math.floor(total / 5);
  const load = total - warmup;
  phase('warmup');
  for (let i = 0; i < warmup; i++) await body(i);
  await collect();
  phase('load');
  for (let i = 0; i < load; i++) await body(warmup + i);
  await collect();
  phase('settle');
  await collect();
  console.log(JSON.stringify({ warmup, load }));
  process.exit(0);
};
