/* Property tables as JavaScriptCore's classes have them. The executable is stripped before it is looked into. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))
#define LITERAL(text) text, sizeof(text)

enum { kDontEnum = 4, kDontDelete = 8, kCustomAccessor = 32, kFunction = 256, kBuiltin = 512, kPropertyCallback = 8192 };

struct HashTableValue {
  const char* key;
  size_t key_size;
  uint32_t attributes, intrinsic;
  void *first, *second;
};

struct ClassInfo {
  const char* name;
  size_t name_size;
  const struct ClassInfo* parent;
  const void* table;
  void* snippet[2];
  void* methods[20];
  size_t size;
};

struct HashTable {
  int count, mask;
  _Bool has_setter;
  const struct ClassInfo* class_for_this;
  const struct HashTableValue* values;
  const void* index;
};

volatile int sink;

NOINLINE long Implementation(long a) { sink += 11; return a * 7 + sink; }
NOINLINE long WriteHead(long a) {
  if (a == 41) return 0;
  return Implementation(a + 1);  /* a tail call: nothing else refers to it */
}
NOINLINE long BetweenNamed(long a) { sink += 12; return a * 9 + sink; }
NOINLINE long GetFinished(long a) { sink += 13; return a - sink; }
NOINLINE long SetFinished(long a) { sink += 14; return a + sink; }
NOINLINE long MakeLazy(long a) { sink += 15; return a ^ sink; }
NOINLINE long Shared(long a) { sink += 16; return a | sink; }
NOINLINE long Parse(long a) { sink += 17; return a & sink; }
NOINLINE long Lookup(long a) { sink += 18; return a << (sink & 7); }
NOINLINE long GeneratesCode(long a) { sink += 19; return a >> (sink & 7); }
NOINLINE long Method(long a) { sink += 20; return a * sink; }

#define METHODS {(void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, \
                 (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, (void*)Method, \
                 (void*)Method, (void*)Method, (void*)Method, (void*)Method}

const struct ClassInfo base_info = {LITERAL("Object"), 0, 0, {0, 0}, METHODS, 16};
extern const struct HashTable lookup_table;
const struct ClassInfo response_info = {LITERAL("NodeHTTPResponse"), &base_info, 0, {0, 0}, METHODS, 32};
const struct ClassInfo constructor_info = {LITERAL("Function"), &base_info, 0, {0, 0}, METHODS, 32};
const struct ClassInfo lookup_info = {LITERAL("Lookup"), &base_info, &lookup_table, {0, 0}, METHODS, 32};

const struct HashTableValue response_values[] = {
    {LITERAL("writeHead"), kFunction | kDontDelete, 0, (void*)WriteHead, (void*)2},
    {LITERAL("finished"), kCustomAccessor, 0, (void*)GetFinished, (void*)SetFinished},
    {LITERAL("lazy"), kPropertyCallback, 0, (void*)MakeLazy, 0},
    {LITERAL("one"), kFunction, 0, (void*)Shared, (void*)1},
    {LITERAL("two"), kFunction, 0, (void*)Shared, (void*)1},
    {LITERAL("three"), kFunction, 0, (void*)Shared, (void*)1},
    {LITERAL("inJavaScript"), kFunction | kBuiltin, 0, (void*)GeneratesCode, (void*)1},
};
const struct HashTableValue constructor_values[] = {{LITERAL("parse"), kFunction, 0, (void*)Parse, (void*)1}};
const struct HashTableValue lookup_values[] = {{LITERAL("lookup"), kFunction | kDontEnum, 0, (void*)Lookup, (void*)1}};
const struct HashTable lookup_table = {1, 1, 0, 0, lookup_values, 0};

NOINLINE void Reify(const struct ClassInfo* info, const struct HashTableValue* values, size_t count) {
  for (size_t i = 0; i < count; ++i) sink += (int)(((intptr_t (*)(long))values[i].first)((long)info->size) & 1);
}
NOINLINE void Name(const char* name, size_t size) { sink += name[size - 1]; }

NOINLINE void FinishResponse(void) { Reify(&response_info, response_values, sizeof response_values / sizeof *response_values); sink++; }
NOINLINE void FinishConstructor(void) {
  Name(LITERAL("NodeHTTPResponse"));
  Reify(&constructor_info, constructor_values, 1);
  sink++;
}

/* As an assertion does: the file's name goes to a function that does not come back. */
NOINLINE void Assert(int condition, const char* file) { if (condition == 12345) puts(file); }
NOINLINE void Asserting(int a) { Assert(a, "source/heap/Allocator.cpp"); sink += 21; }

int main(void) {
  FinishResponse();
  FinishConstructor();
  Asserting(sink);
  Reify(&lookup_info, ((const struct HashTable*)lookup_info.table)->values, 1);
  return BetweenNamed(sink) == 12345;
}
