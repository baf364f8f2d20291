// Calls generated functions in ever new ways; where it takes a sample, it allocates a block of a size that occurs once and writes down what
// Error.stack says there: one line of JSON, {size, frames: [{name, file, line}]}. The traced stack of that block must say the same.
//   truth.cjs OUTPUT ROUNDS
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const functionCount = 300, samplesPerRound = 60, depth = 10, firstSize = 6_000_000;
const [output, rounds] = [process.argv[2], Number(process.argv[3] || 5)];

// Each function calls another, chosen by its arguments: as a tail call, from a loop, or with work to do afterwards.
function generate(file) {
  let text = "'use strict';\nlet leaf;\nmodule.exports.setLeaf = (f) => { leaf = f; };\n";
  for (let i = 0; i < functionCount; i++) {
    const next = `table[(seed * ${7 + (i % 31)} + depth * ${13 + (i % 17)} + ${i}) % ${functionCount}]`;
    text += `function generated${i}(depth, seed) {\n  if (depth <= 0) return leaf(seed) + ${i};\n`;
    if (i % 4 === 0) text += `  for (let k = 0; k < 1; k++) {\n    seed += k;\n  }\n`;
    text += i % 5 === 0 ? `  return ${next}(depth - 1, seed);\n}\n` : `  const below = ${next}(depth - 1, seed);\n  return below + ${i % 3};\n}\n`;
  }
  text += `const table = [${Array.from({ length: functionCount }, (_, i) => `generated${i}`).join(', ')}];\nmodule.exports.table = table;\n`;
  fs.writeFileSync(file, text);
}

const generatedFile = path.join(path.dirname(output), 'generated.js');
generate(generatedFile);
const { table, setLeaf } = require(generatedFile);

Error.stackTraceLimit = 100;
const kept = [], lines = [];
let sampling = false, size = firstSize;

function takeSample() {
  kept.push(Buffer.allocUnsafeSlow(++size));
  const frames = [];
  for (const line of new Error().stack.split('\n').slice(1)) {
    const match = /^\s*at (?:(.*?) \()?(.*?):(\d+):\d+\)?$/.exec(line);
    if (match && match[2].endsWith('.js')) frames.push({ name: match[1] || '', file: path.basename(match[2]), line: Number(match[3]) });
  }
  lines.push(JSON.stringify({ size, frames }));
}

setLeaf((seed) => {
  if (sampling) takeSample();
  return seed & 1;
});

const collect = () => (typeof Bun !== 'undefined' ? Bun.gc(true) : globalThis.gc?.());
const garbage = [];
for (let round = 0; round < rounds; round++) {
  for (let k = 0; k < 2000; k++) table[k % functionCount](depth, k + round);
  for (let k = 0; k < 200; k++) garbage.push({ array: new Array(100).fill(k), text: 'z'.repeat(100) + k });
  if (garbage.length > 500) garbage.splice(0, 300);
  sampling = true;
  for (let k = 0; k < samplesPerRound; k++) table[(k * 5) % functionCount](depth, k * 3 + round);
  sampling = false;
  if (round % 2) collect();
}
fs.writeFileSync(output, lines.join('\n') + '\n');
