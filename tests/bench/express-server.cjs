// The server of the request measurement: Express with one route, in the folder where express is installed (EXPRESS). Prints its port; ends
// when stdin does.
'use strict';
const express = require(process.env.EXPRESS);

const app = express();
app.get('/health', (request, response) => response.json({ status: 'ok', uptime: process.uptime() }));
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
