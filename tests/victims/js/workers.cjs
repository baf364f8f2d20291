// Worker threads: some end by themselves, some are terminated while they work.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const zlib = require('zlib');

if (isMainThread) {
  const start = (rounds) => new Worker(__filename, { workerData: rounds });
  const ended = (worker) => new Promise((resolve, reject) => {
    worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`)))).on('error', reject);
  });
  (async () => {
    for (let wave = 0; wave < 3; wave++) {
      const endless = start(1e9);
      const working = new Promise((resolve) => endless.once('message', resolve));
      await Promise.all([working, ended(start(200)), ended(start(200))]);
      await endless.terminate();
    }
    console.log('done');
  })();
} else {
  let kept = [];
  // No zlib where the thread is terminated: Node 20 aborts when that happens between a stream's construction and its initialization.
  const compress = workerData > 1000 ? (bytes) => crypto.createHash('sha512').update(bytes).digest() : zlib.deflateSync;
  for (let i = 0; i < workerData; i++) {
    kept.push(compress(crypto.randomBytes(5000)));
    if (i % 50 === 10) kept = [];
    if (i === 20) parentPort.postMessage('working');
  }
}
