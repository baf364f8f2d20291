// Node 10.6.0: a zlib stream that nobody writes to is never collected (nodejs/node#21607, fixed in 10.7.0).
'use strict';
const zlib = require('zlib');
const { loop } = require('./loop.cjs');

loop(500, () => { zlib.createGzip(); });
