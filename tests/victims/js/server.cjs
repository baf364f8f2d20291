'use strict';
const http = require('http');
const { handler, load } = require('./load.cjs');

const server = http.createServer(handler).listen(0, '127.0.0.1', async () => {
  await load(server.address().port, 2000);
  server.close();
  console.log('done');
});
