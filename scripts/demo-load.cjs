// demo-load.cjs PORT REQUESTS: sends that many requests over keep-alive connections, in turn to /health and /peer.
'use strict';
const http = require('http');

const [port, requests] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
let sent = 0;

const one = (path) => new Promise((resolve, reject) => {
  http.get({ host: '127.0.0.1', port, agent, path }, (response) => response.resume().on('end', resolve)).on('error', reject);
});
const connection = async () => {
  while (sent < requests) await one(sent++ % 2 === 0 ? '/health' : '/peer');
};

const start = process.hrtime.bigint();
Promise.all(Array.from({ length: 8 }, connection)).then(() => {
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  console.log(`${requests} requests in ${seconds.toFixed(1)} s, ${Math.round(requests / seconds)} per second`);
  agent.destroy();
});
