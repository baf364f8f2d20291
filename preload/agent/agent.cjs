// The JavaScript agent of leaktrace. `leaktrace run` loads it into Node and Bun before the program; a program may also require('leaktrace').
// It marks run phases, samples the JavaScript heap, and tells which route a request is for. Without the preloaded library, or in another
// thread than the main one, every function is there and does nothing.
'use strict';

const isBun = typeof Bun !== 'undefined';
const kPhase = 1, kNote = 2, kCollected = 3; // MarkKind of format/ring.h
const sampleInterval = 2000, countInterval = 6000; // milliseconds; counting walks the whole heap
const mostCountedTypes = 60, mostRoutes = 500;

// The library itself, as an addon. The loader gives the one that is preloaded only if it is asked for by the same path.
function openLibrary() {
  const path = (process.env.LD_PRELOAD || '').split(/[\s:]+/).find((entry) => /(^|\/)libleaktrace[^/]*\.so$/.test(entry));
  if (!path) return null;
  try {
    const addon = { exports: {} };
    process.dlopen(addon, path);
    return addon.exports;
  } catch {
    return null;
  }
}

function isMainThread() {
  try {
    return require('worker_threads').isMainThread;
  } catch {
    return true;
  }
}

const library = isMainThread() ? openLibrary() : null;

let collect;
function gc() {
  if (!library) return;
  if (isBun) {
    Bun.gc(true);
  } else {
    if (!collect) {
      collect = global.gc;
      if (!collect) {
        require('v8').setFlagsFromString('--expose-gc');
        collect = require('vm').runInNewContext('gc');
      }
    }
    collect();
  }
  library.mark(kCollected, '');
}

function sampleHeap() {
  const usage = process.memoryUsage();
  library.heap(usage.heapUsed, usage.heapTotal, usage.external, usage.arrayBuffers === undefined ? -1 : usage.arrayBuffers, usage.rss);
}

function countObjects() {
  if (!isBun) return;
  const counts = Object.entries(require('bun:jsc').heapStats().objectTypeCounts);
  counts.sort((a, b) => b[1] - a[1]);
  library.counts(JSON.stringify(Object.fromEntries(counts.slice(0, mostCountedTypes))));
}

// Begins the run phase `name`, which lasts until the next. What the last one left as garbage is collected first.
function phase(name) {
  if (!library) return;
  if (process.env.LEAKTRACE_GC_AT_PHASES !== '0') gc();
  sampleHeap();
  countObjects();
  library.mark(kPhase, String(name));
}

function note(text) {
  if (library) library.mark(kNote, String(text));
}

// Numbers and identifiers in a path are parameters: without this every request would be a route of its own.
function routeOfUrl(method, url) {
  const path = url.replace(/^[a-z]+:\/\/[^/]*/i, '').split(/[?#]/, 1)[0] || '/';
  const parts = path.split('/').map((part) => (/^\d+$|^[0-9a-f-]{16,}$|^.{48,}$/i.test(part) ? ':id' : part));
  return `${method} ${parts.join('/')}`;
}

const routes = new Set();
function setRoute(route) {
  if (!routes.has(route)) {
    if (routes.size >= mostRoutes) route = '(other)';
    routes.add(route);
  }
  library.route(route);
}

// A framework that matches routes (express) stores the one it found in the request: that is the better name.
function followExpress(prototype) {
  Object.defineProperty(prototype, 'route', {
    configurable: true,
    set(route) {
      Object.defineProperty(this, 'route', { value: route, writable: true, enumerable: true, configurable: true });
      if (route && typeof route.path === 'string') setRoute(`${this.method} ${this.baseUrl || ''}${route.path}`);
    },
  });
}

function followServers() {
  const onRequest = (request) => setRoute(routeOfUrl(request.method, request.url));
  if (isBun) {
    const http = require('http');
    followExpress(http.IncomingMessage.prototype);
    const emit = http.Server.prototype.emit;
    http.Server.prototype.emit = function (event, request, ...rest) {
      if (event === 'request' && request) onRequest(request);
      return emit.call(this, event, request, ...rest);
    };
    const serve = Bun.serve;
    const follow = (handler) => (typeof handler !== 'function' ? handler : function (request, ...rest) {
      onRequest(request);
      return handler.call(this, request, ...rest);
    });
    Bun.serve = function (options) {
      return serve.call(this, options && typeof options.fetch === 'function' ? { ...options, fetch: follow(options.fetch) } : options);
    };
  } else {
    const { subscribe } = require('diagnostics_channel');
    let followed = false;
    subscribe('http.server.request.start', ({ request }) => {
      if (!followed) {
        followed = true;
        followExpress(Object.getPrototypeOf(request));
      }
      onRequest(request);
    });
    subscribe('http2.server.stream.start', ({ headers }) => setRoute(routeOfUrl(headers[':method'], headers[':path'] || '/')));
  }
}

if (library) {
  sampleHeap();
  setInterval(sampleHeap, sampleInterval).unref();
  if (isBun) setInterval(countObjects, countInterval).unref();
  try {
    followServers();
  } catch {
    // A runtime that lets its servers not be followed is traced all the same, without routes.
  }
  process.on('exit', sampleHeap);
}

module.exports = { phase, gc, note };
global.leaktrace = module.exports;  // globalThis came with Node 12
