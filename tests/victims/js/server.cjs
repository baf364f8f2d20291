'use strict';
const { createServer, load } = require('./load.cjs');

const server = createServer().listen(0, '127.0.0.1', async () => {
  await load(server.address().port, 2000);
  server.close();
  console.log('done');
});
