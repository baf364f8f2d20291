// The server of scripts/demo: /health allocates and frees, /peer leaks native memory on Node 24.11.1, where X509Certificate.toLegacyObject()
// keeps twelve small blocks per call (nodejs/node#58380). The JavaScript heap stays flat all the while.
'use strict';
const { X509Certificate } = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');

const peer = new X509Certificate(fs.readFileSync(path.join(__dirname, '../tests/cases/certificate.pem')));

function describePeer() {
  const { subject, issuer, valid_to: validTo } = peer.toLegacyObject();
  return { subject, issuer, validTo };
}

const server = http.createServer((request, response) => {
  const body = request.url.startsWith('/peer') ? describePeer() : { ok: true };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
});
// On a machine that is busy a connection may rest for longer than Node's five seconds before its next request.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => { server.closeAllConnections(); server.close(); });
