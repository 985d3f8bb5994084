/*
 * Clocks for the processes of one pod: preloaded, this adds what the file named by PGHERD_CLOCKS says ("WALL STEADY",
 * milliseconds each) to the wall clock, and to the clocks that nobody can set. Read anew each time, so that they jump
 * when the file is written. A wall clock of a machine is one for all; this is how tests give a pod another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char path[512];

/* Copied: postgres writes its title over its environment. */
__attribute__((constructor)) static void begin(void) {
    const char *named = getenv("PGHERD_CLOCKS");
    if (named != NULL && strlen(named) < sizeof path) strcpy(path, named);
}

static long long milliseconds(int steady) {
    char text[64];
    long long wall = 0, boot = 0;
    int before = errno;
    int file = path[0] == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t length = read(file, text, sizeof text - 1);
        close(file);
        if (length > 0) {
            char *rest;
            text[length] = 0;
            wall = strtoll(text, &rest, 10);
            boot = strtoll(rest, NULL, 10);
        }
    }
    errno = before;
    return steady ? boot : wall;
}

static void add(struct timespec *at, long long more) {
    long long nanos = at->tv_nsec + more % 1000 * 1000000;
    at->tv_sec += more / 1000;
    if (nanos < 0) { nanos += 1000000000; at->tv_sec -= 1; }
    if (nanos >= 1000000000) { nanos -= 1000000000; at->tv_sec += 1; }
    at->tv_nsec = nanos;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, clock, at);
    if (failed) return failed;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        add(at, milliseconds(0));
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        add(at, milliseconds(1));
        break;
    default:
        break;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return (time_t)-1;
    if (at != NULL) *at = now.tv_sec;
    return now.tv_sec;
}
