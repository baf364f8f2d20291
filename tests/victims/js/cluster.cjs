'use strict';
const cluster = require('cluster');
const { createServer, load } = require('./load.cjs');

if (cluster.isPrimary) {
  const ready = [];
  for (let i = 0; i < 2; i++) {
    const worker = cluster.fork();
    ready.push(new Promise((resolve) => worker.once('listening', (address) => resolve(address.port))));
  }
  Promise.all(ready).then(async ([port]) => {
    await load(port, 1000);
    cluster.disconnect(() => console.log('done'));
  });
} else {
  createServer().listen(0, '127.0.0.1');
}
