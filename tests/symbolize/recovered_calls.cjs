// Calls of Bun's JavaScript API and the native function that serves each. Run with a comma-separated list of numbers, it raises SIGUSR2
// before each of those calls and, once more, at the end; without, it prints the names.
const zlib = require('node:zlib');
const crypto = require('node:crypto');
const fs = require('node:fs');
const { Database } = require('bun:sqlite');

const url = new URL('http://user:word@host.example:81/path?a=b#c');
const query = new URLSearchParams('a=1&b=2');
const headers = new Headers({ a: 'b' });
const bytes = Buffer.alloc(64, 'x');
const database = new Database(':memory:');
const statement = database.prepare('select 1 as one');
const encoder = new TextEncoder();
const hasher = new Bun.CryptoHasher('sha256');
const request = new Request('http://localhost/', { method: 'POST', body: 'x' });
const response = new Response('body');
const blob = new Blob(['abc']);
const controller = new AbortController();
const target = new EventTarget();
const event = new Event('kind');
const form = new FormData();
const hash = crypto.createHash('sha1');
const hmac = crypto.createHmac('sha1', 'key');
const view = new DataView(new ArrayBuffer(32));
const date = new Date(0);
const transpiler = new Bun.Transpiler();
const glob = new Bun.Glob('*.js');
const cookies = new Bun.CookieMap('a=b');
const channel = new MessageChannel();
const locale = new Intl.Locale('de-DE');
const stats = fs.statSync('/');

const calls = [
  ['get URL.hostname', () => url.hostname],
  ['get URL.search', () => url.search],
  ['get URL.searchParams', () => url.searchParams],
  ['set URL.pathname', () => { url.pathname = '/other'; }],
  ['URLSearchParams.append', () => query.append('c', 'd')],
  ['URLSearchParams.getAll', () => query.getAll('a')],
  ['URLSearchParams.sort', () => query.sort()],
  ['Headers.append', () => headers.append('c', 'd')],
  ['Headers.has', () => headers.has('a')],
  ['Headers.getSetCookie', () => headers.getSetCookie()],
  ['Buffer.swap16', () => bytes.swap16()],
  ['Buffer.fill', () => bytes.fill('y')],
  ['Buffer.latin1Slice', () => bytes.latin1Slice(0, 8)],
  ['Buffer.hexSlice', () => bytes.hexSlice(0, 8)],
  ['Buffer.base64Slice', () => bytes.base64Slice(0, 8)],
  ['Buffer.byteLength', () => Buffer.byteLength('some text')],
  ['Buffer.concat', () => Buffer.concat([bytes, bytes])],
  ['TextEncoder.encodeInto', () => encoder.encodeInto('text', new Uint8Array(8))],
  ['CryptoHasher.update', () => hasher.update('text')],
  ['CryptoHasher.copy', () => hasher.copy()],
  ['get Request.method', () => request.method],
  ['Request.clone', () => request.clone()],
  ['get Response.status', () => response.status],
  ['Response.json', () => Response.json({ a: 1 })],
  ['Blob.slice', () => blob.slice(0, 1)],
  ['AbortController.abort', () => controller.abort()],
  ['AbortSignal.any', () => AbortSignal.any([controller.signal])],
  ['EventTarget.addEventListener', () => target.addEventListener('kind', () => {})],
  ['EventTarget.dispatchEvent', () => target.dispatchEvent(event)],
  ['Event.composedPath', () => event.composedPath()],
  ['FormData.append', () => form.append('a', 'b')],
  ['FormData.getAll', () => form.getAll('a')],
  ['SQLStatement.prepare', () => database.prepare('select 2 as two')],
  ['SQLStatement.all', () => statement.all()],
  ['SQLStatement.values', () => statement.values()],
  ['SQLStatement.open', () => new Database(':memory:')],
  ['Performance.mark', () => performance.mark('here')],
  ['Performance.getEntriesByType', () => performance.getEntriesByType('mark')],
  ['DataView.setFloat64', () => view.setFloat64(0, 1.5)],
  ['Bun.gc', () => Bun.gc(true)],
  ['Bun.indexOfLine', () => Bun.indexOfLine(bytes, 1)],
  ['Bun.escapeHTML', () => Bun.escapeHTML('<a>')],
  ['Bun.nanoseconds', () => Bun.nanoseconds()],
  ['Process.cpuUsage', () => process.cpuUsage()],
  ['Process.uptime', () => process.uptime()],
  ['Process.getuid', () => process.getuid()],
  ['Process.umask', () => process.umask()],
  ['Transpiler.transformSync', () => transpiler.transformSync('let a = 1')],
  ['Transpiler.scanImports', () => transpiler.scanImports('import "a"')],
  ['Glob.match', () => glob.match('a.js')],
  ['CookieMap.get', () => cookies.get('a')],
  ['MessagePort.postMessage', () => channel.port1.postMessage('text')],
  ['Intl.Locale.maximize', () => locale.maximize()],
  ['Intl.getCanonicalLocales', () => Intl.getCanonicalLocales('de')],
  ['JSON.stringify', () => JSON.stringify({ a: [1, 2] })],
  ['Crypto.randomUUID', () => globalThis.crypto.randomUUID()],
  ['NativeZlib.writeSync', () => zlib.deflateSync('text')],
  ['NativeBrotli.writeSync', () => zlib.brotliCompressSync('text')],
  ['NativeZstd.writeSync', () => zlib.zstdCompressSync('text')],
  ['NodeJSFS.statSync', () => fs.statSync('/')],
  ['NodeJSFS.readdirSync', () => fs.readdirSync('/')],
  ['Hash.update', () => hash.update('text')],
  ['Hash.digest', () => hash.digest('hex')],
  ['Hmac.update', () => hmac.update('text')],
];

if (process.argv.length < 3) {
  for (const [name] of calls) console.log(name);
} else {
  for (const index of process.argv[2].split(',')) {
    const [, call] = calls[Number(index)];
    process.kill(process.pid, 'SIGUSR2');
    call();
  }
  process.kill(process.pid, 'SIGUSR2');
}
