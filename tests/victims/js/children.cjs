// Two children that run JavaScript (fork, spawn), and helpers that do not (a shell, exec of a pipeline).
'use strict';
const { execFileSync, exec, fork, spawn } = require('child_process');
const { promisify } = require('util');
const zlib = require('zlib');

const work = () => { for (let i = 0; i < 300; i++) zlib.deflateSync(Buffer.alloc(10000, i)); };
const ended = (child) => new Promise((resolve, reject) => {
  child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`)))).on('error', reject);
});

if (process.argv[2] === 'child') {
  work();
} else {
  (async () => {
    const children = [fork(__filename, ['child']), spawn(process.execPath, [__filename, 'child'], { stdio: 'inherit' })].map(ended);
    work();
    for (let i = 0; i < 5; i++) {
      await promisify(exec)('ls / | sort | cat');
      execFileSync('/bin/sh', ['-c', 'true']);
    }
    await Promise.all(children);
    console.log('done');
  })();
}
