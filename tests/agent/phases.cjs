// Marks phases by the agent that `leaktrace run` loads, and keeps some native memory in one of them.
'use strict';
leaktrace.phase('warmup');
const kept = [];
leaktrace.phase('load');
for (let i = 0; i < 200; i++) kept.push(Buffer.alloc(20000, i & 255));
leaktrace.note('kept 200 buffers');
leaktrace.phase('settle');
console.log(kept.length);
process.exit(0);
