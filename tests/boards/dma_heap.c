/* Preloaded by the camera proof: a machine without cameras has no DMA heaps, so /dev/dma_heap/... is served from
 * memory files. What allocates a buffer there gets one that can be mapped and shared like any other. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_heap(const char *path) {
    return path && strncmp(path, "/dev/dma_heap/", 14) == 0;
}

#define STAND_IN_FOR(name)                                      \
    int name(const char *path, int flags, ...) {                \
        int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, #name); \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        int mode = va_arg(rest, int);                           \
        va_end(rest);                                           \
        return is_heap(path) ? memfd_create("dma_heap", MFD_CLOEXEC) : real(path, flags, mode); \
    }
STAND_IN_FOR(open)
STAND_IN_FOR(open64)

int access(const char *path, int mode) {
    int (*real)(const char *, int) = dlsym(RTLD_NEXT, "access");
    return is_heap(path) ? 0 : real(path, mode);
}

int ioctl(int file, unsigned long request, ...) {
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    unsigned int wanted = (unsigned int)request; /* Python passes it signed */
    if (wanted == (unsigned int)DMA_HEAP_IOCTL_ALLOC) {
        struct dma_heap_allocation_data *allocation = argument;
        int memory = memfd_create("dma_buffer", MFD_CLOEXEC);
        if (memory < 0 || ftruncate(memory, (off_t)allocation->len) < 0)
            return -1;
        allocation->fd = (unsigned int)memory;
        return 0;
    }
    if (_IOC_TYPE(wanted) == DMA_BUF_BASE) /* naming and syncing: nothing to do for memory */
        return 0;
    return real(file, request, argument);
}
