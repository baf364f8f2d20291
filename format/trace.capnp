# The payloads of a trace file's chunks (chunk.h). Fields are only ever added, with new numbers.
#
# Units: times are nanoseconds since the target's start unless a name says otherwise; sizes are bytes.
# Ids: frames, kinds and strings are numbered from 1 in the order of the file; 0 is none. Allocations and events are numbered from 0.
# `Data` columns marked (zstd) are one zstd frame each. Columns of numbers are LEB128 varints, one after the other; `zigzag` columns hold
# signed numbers as (n << 1) ^ (n >> 63).
@0xd1a7c6f29be0347d;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("leaktrace::format::trace");

struct TraceHeader {
  formatVersion @0 :UInt16;
  executable @1 :Text;              # absolute path
  arguments @2 :List(Text);
  pid @3 :UInt32;
  parentPid @4 :UInt32;
  buildId @5 :Data;                 # of the executable
  runtimeName @6 :Text;             # "node", "bun" or "native"
  runtimeVersion @7 :Text;          # "" where it is not known
  startRealtime @8 :UInt64;         # nanoseconds since 1970
  clock @9 :Text;                   # "tsc" or "sequence"
  ticksPerSecond @10 :Float64;      # of the stamps, as calibrated when the header was written
  options @11 :List(Option);
  recorderVersion @12 :Text;
  pageSize @13 :UInt32;
  workingDirectory @14 :Text;
  cpus @15 :UInt32;
  struct Option { name @0 :Text; value @1 :Text; }
}

struct ModuleList {
  modules @0 :List(Module);
  struct Module {
    loadAddress @0 :UInt64;
    begin @1 :UInt64;
    end @2 :UInt64;
    textBegin @3 :UInt64;
    textEnd @4 :UInt64;
    path @5 :Text;
    buildId @6 :Data;
    loadedAt @7 :UInt64;
    firstFrame @8 :UInt32;          # frames with this or a later id were captured after this module was loaded
    unloaded @9 :Bool;              # true: from here on the module at loadAddress is gone
    unwindRows @10 :UInt32;
    unwindUnsupported @11 :UInt32;  # rows that the compact form cannot hold
  }
}

# Nodes of the stack tree, merged over all threads: a frame and the node of its caller.
struct FrameTable {
  firstId @0 :UInt32;
  count @1 :UInt32;
  parents @2 :Data;                 # (zstd) varint: id - parent, 0 = outermost
  values @3 :Data;                  # (zstd) zigzag varint: difference of FrameWord's value to the frame before in the table
  kinds @4 :Data;                   # (zstd) one byte each: FrameKind
  auxiliaries @5 :Data;             # (zstd) varint
}

# What an allocation or a mapping has in common with others: an event names a kind, so that it costs a byte or two.
struct KindTable {
  firstId @0 :UInt32;
  count @1 :UInt32;
  stacks @2 :Data;                  # (zstd) varint: frame id of the innermost frame
  sizes @3 :Data;                   # (zstd) varint: requested bytes; 0 where the size varies
  attributes @4 :Data;              # (zstd) 4 bytes each: entry point, allocator, request phase, flags (bit 0: JavaScript heap,
                                    # bit 1: the size varies: it is in the events' column)
  routes @5 :Data;                  # (zstd) varint: number of a route of MarkList, from 1; 0 = none
}

# Events in time order. Operations, one byte each (analyzer/trace/operation.h):
#   0 allocate, 1 free, 2 reallocate, 3 free of an unknown pointer, 4 map, 5 unmap, 6 remap, 7 advise, 8 socket, 9 heap destroy,
#   10 overlap (an allocation at the address of a live block follows: that block is gone, its free was not seen)
# Allocate and reallocate take the next number of `kinds` and have the next allocation number; where the kind's size varies, they take the
# next of `sizes`. Free, reallocate and overlap take the next of `distances`: the number of the next allocation (for a reallocate: its own)
# minus the number of the block that ends, so the last block allocated is 1. 3 to 9 take a record of `sideRecords`, whose fields
# format/README.md lists. Map and remap have the next mapping number.
struct EventBlock {
  firstEvent @0 :UInt64;
  firstAllocation @1 :UInt64;
  firstMapping @2 :UInt64;
  count @3 :UInt32;
  allocations @4 :UInt32;           # allocates and reallocates in this block
  startTime @5 :UInt64;             # of the first event
  endTime @6 :UInt64;               # of the last event
  operations @7 :Data;              # (zstd)
  kinds @8 :Data;                   # (zstd) varint: kind id
  sizes @9 :Data;                   # (zstd) varint
  distances @10 :Data;              # (zstd) varint
  timeRuns @11 :Data;               # (zstd) varint pairs: events, then microseconds that pass after them; covers all events
  threadRuns @12 :Data;             # (zstd) varint pairs: thread index, events; covers all events
  sideRecords @13 :Data;            # (zstd) varints
}

struct MarkList {
  marks @0 :List(Mark);
  routes @1 :List(Text);            # routes in the order of their numbers, continuing those of earlier chunks
  threads @2 :List(Thread);
  struct Mark {
    time @0 :UInt64;
    event @1 :UInt64;               # number of the first event after it
    kind @2 :UInt16;                # MarkKind, 16 fork, 17 exec, 18 spawn, 19 exit
    source @3 :UInt16;              # 0 recorder, 1 agent, 2 `leaktrace mark`, 3 `leaktrace run`
    text @4 :Text;
    value @5 :Int64;
  }
  struct Thread {
    index @0 :UInt32;
    tid @1 :UInt32;
    name @2 :Text;
    startTime @3 :UInt64;
    endTime @4 :UInt64;             # 0: lives
  }
}

struct MemorySamples {
  samples @0 :List(Sample);
  struct Sample {
    time @0 :UInt64;
    event @1 :UInt64;
    rss @2 :UInt64;
    pss @3 :UInt64;
    liveBytes @4 :UInt64;           # heap blocks, as the recorder matched them
    liveBlocks @5 :UInt64;
    mappedBytes @6 :UInt64;         # by mmap, anonymous
    categories @7 :List(Category);
  }
  struct Category { name @0 :Text; rss @1 :UInt64; pss @2 :UInt64; virtual @3 :UInt64; anonymous @4 :UInt64; }
}

struct JsHeapSamples {
  samples @0 :List(Sample);
  struct Sample {                   # ~0 = not known
    time @0 :UInt64;
    event @1 :UInt64;
    heapUsed @2 :UInt64;
    heapTotal @3 :UInt64;
    external @4 :UInt64;
    arrayBuffers @5 :UInt64;
    rss @6 :UInt64;
    objectCounts @7 :Text;          # JSON object, "" = none
  }
}

# What JavaScript frames are. A frame's name is resolved while recording: `frames` maps frame ids to functions.
struct CodeNames {
  scripts @0 :List(Script);
  functions @1 :List(Function);
  frames @2 :List(FrameName);
  struct Script { id @0 :UInt32; url @1 :Text; source @2 :Data; sourceHash @3 :UInt64; }   # source: zstd, may be absent
  struct Function {
    id @0 :UInt32;
    name @1 :Text;
    script @2 :UInt32;
    url @3 :Text;
    line @4 :UInt32;                # of the definition, from 1; 0 = unknown
    column @5 :UInt32;
    start @6 :UInt32;               # offsets in the source
    end @7 :UInt32;
    tier @8 :UInt16;                # CodeKind
  }
  struct FrameName {
    frame @0 :UInt32;
    function @1 :UInt32;
    position @2 :Int32;             # in the source, of the call that the frame is in; -1 = unknown
    line @3 :UInt32;                # the same as a line of the user's file, from 1; 0 = unknown
    column @4 :UInt32;
  }
}

struct Counters {
  time @0 :UInt64;
  dropped @1 :UInt64;
  truncatedStacks @2 :UInt64;
  brokenStacks @3 :UInt64;
  waits @4 :UInt64;
  threads @5 :UInt32;
  allocators @6 :List(Allocator);
  inheritedFrees @7 :UInt64;        # in a forked child: of blocks that its parent had allocated; they are no events
  struct Allocator {
    name @0 :Text;
    allocations @1 :UInt64;
    frees @2 :UInt64;
    unknownFrees @3 :UInt64;
    overlaps @4 :UInt64;
    complete @5 :Bool;
    state @6 :Text;                 # "hooked", "proof failed: ...", ...
  }
}

struct HookMap {
  allocators @0 :List(Text);
  entries @1 :List(Entry);
  struct Entry { address @0 :UInt64; role @1 :UInt16; entryPoint @2 :UInt16; allocator @3 :UInt16; name @4 :Text; patched @5 :Bool; }
}

struct Footer {
  endKind @0 :UInt16;               # 0 unknown, 1 exit, 2 signal, 3 the library stopped recording, 4 exec
  status @1 :Int32;
  outOfMemoryKill @2 :Bool;
  stopReason @3 :Text;              # "" = recorded to the end
  endTime @4 :UInt64;
  events @5 :UInt64;
  chunks @6 :UInt64;
  recorderCpu @7 :UInt64;           # nanoseconds
  recorderPeakRss @8 :UInt64;
  peakLiveBytes @9 :UInt64;
  peakLiveTime @10 :UInt64;
}

struct SymbolTable {
  frames @0 :List(Frame);
  struct Frame { frame @0 :UInt32; lines @1 :List(Line); }
  struct Line { function @0 :Text; module @1 :Text; offset @2 :UInt64; file @3 :Text; line @4 :UInt32; kind @5 :UInt16; inlined @6 :Bool; evidence @7 :Text; }
}
