// A server and its clients in one process, whose requests hash, encrypt, compress and read files: `mixed_load.cjs ROUNDS`, 20 requests each.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const util = require('util');
const zlib = require('zlib');

const rounds = Number(process.argv[2]);
const text = crypto.randomBytes(20000).toString('hex');
const gzip = util.promisify(zlib.gzip);
const deriveKey = util.promisify(crypto.pbkdf2);

const server = http.createServer(async (request, response) => {
  const hash = crypto.createHash('sha256').update(request.url).digest('hex');
  const key = await deriveKey(hash, 'salt', 10, 32, 'sha512');
  const compressed = await gzip(text.slice(0, 1000 + request.url.length * 37));
  fs.readFile(__filename, (error, source) => {
    const cipher = crypto.createCipheriv('aes-256-cbc', key, key.subarray(0, 16));
    response.setHeader('x-hash', hash);
    response.end(Buffer.concat([compressed, cipher.update(source), cipher.final()]));
  });
});

server.listen(0, '127.0.0.1', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  const { port } = server.address();
  const request = (number) =>
    new Promise((resolve, reject) => {
      const method = number % 3 === 0 ? 'POST' : 'GET';
      const outgoing = http.request({ host: '127.0.0.1', port, agent, method, path: `/${'x'.repeat(number % 50)}` }, (response) => {
        response.resume();
        response.on('end', resolve);
      });
      outgoing.on('error', reject);
      if (method === 'POST') outgoing.write(JSON.stringify({ number, text: text.slice(0, 300) }));
      outgoing.end();
    });
  for (let round = 0; round < rounds; ++round) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => request(round * 20 + index)));
  }
  agent.destroy();
  server.close();
});
