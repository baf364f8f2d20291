// Stands in for libc when the library is linked: the functions that it imports, and no others, without symbol versions.
//
// So a reference to anything else fails at link time, and the library asks for no version of any libc: it loads beside every glibc, and beside
// musl, whose loader takes the needed libc.so.6 for itself. tests/preload compares the result with this list.
#define IMPORT(name) \
  void name(void) {}

// The compiler's own calls.
IMPORT(memcmp)
IMPORT(memcpy)
IMPORT(memset)
IMPORT(memmove)
// The loader.
IMPORT(dl_iterate_phdr)
IMPORT(dladdr)
IMPORT(dlclose)
IMPORT(dlerror)
IMPORT(dlsym)
IMPORT(getauxval)
// Threads.
IMPORT(pthread_key_create)
IMPORT(pthread_setspecific)
// The process.
IMPORT(__errno_location)
IMPORT(putenv)
char** environ;
