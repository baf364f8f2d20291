// What the servers of these tests do for a request, and a client that sends a fixed number of requests over keep-alive connections.
'use strict';
const crypto = require('crypto');
const http = require('http');
const zlib = require('zlib');

const text = 'a text that compresses well, and again '.repeat(200);

// Uses what allocates natively: zlib on the pool, hashes and ciphers, DNS on the pool.
exports.handler = (request, response) => {
  const hash = crypto.createHash('sha256').update(request.url).digest('hex');
  crypto.randomBytes(64, (error, random) => {
    if (error) throw error;
    zlib.gzip(text + hash + random.toString('hex'), (failed, zipped) => {
      if (failed) throw failed;
      response.setHeader('content-encoding', 'gzip');
      response.end(zipped);
    });
  });
};

// A server of these tests: it keeps a connection that rests, because on a busy machine that may be for longer than Node's five seconds.
exports.createServer = () => {
  const server = http.createServer(exports.handler);
  server.keepAliveTimeout = 120000;
  return server;
};

exports.load = async function load(port, requests, connections = 8) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  let left = requests;
  const one = () => new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, agent, path: `/item/${left}` }, (response) => {
      response.on('data', () => {});
      response.on('end', resolve);
    }).on('error', reject);
  });
  await Promise.all(Array.from({ length: connections }, async () => {
    while (left-- > 0) await one();
  }));
  agent.destroy();
};
