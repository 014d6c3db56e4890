// What the load generators share: sockets on loopback, a clock, latencies, and what they tell the benchmark.
//
// A client prints "begin" when its warm period is over and "end" when the measured period is, its connections still open: the caller reads
// CPU times and memory at both. Then one line of key=value.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUF = 256 * 1024, MAXC = 4096, MAXFD = 65536 };
static char buf[BUF];

static inline void die(const char *what) { perror(what); exit(1); }
static inline int64_t now_us(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000LL + t.tv_nsec / 1000; }
static inline void began(void) { puts("begin"); fflush(stdout); }
static inline void ended(void) { puts("end"); fflush(stdout); }

// ---- sockets ----
static inline struct sockaddr_in loopback(int port) { struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}; return a; }
static inline void nodelay(int fd) { int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); }
static inline void watch(int ep, int op, int fd, uint32_t events) { struct epoll_event e = {.events = events, .data.fd = fd}; if (epoll_ctl(ep, op, fd, &e) < 0) die("epoll_ctl"); }

static inline int dial(int port, int nonblocking) {
    int fd = socket(AF_INET, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0) die("socket");
    struct sockaddr_in a = loopback(port);
    if (connect(fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) { close(fd); return -1; }
    nodelay(fd);
    return fd;
}

// Listens, watches the listener and says "ready".
static inline int listener(int ep, int port) {
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = loopback(port);
    if (bind(ls, (void *)&a, sizeof a) < 0 || listen(ls, 4096) < 0) die("listen");
    watch(ep, EPOLL_CTL_ADD, ls, EPOLLIN);
    puts("ready"); fflush(stdout);
    return ls;
}

// The next connection that waits, watched for input; -1 when there is none.
static inline int accept_next(int ep, int ls) {
    int c = accept4(ls, NULL, NULL, SOCK_NONBLOCK);
    if (c < 0) return -1;
    if (c >= MAXFD) { fprintf(stderr, "too many connections\n"); exit(1); }
    nodelay(c); watch(ep, EPOLL_CTL_ADD, c, EPOLLIN);
    return c;
}

// ---- latencies, microseconds ----
struct latencies { uint32_t *us; size_t count, room; };
static inline void record(struct latencies *l, int64_t us) {
    if (l->count == l->room) { l->room = l->room ? l->room * 2 : 1 << 20; l->us = realloc(l->us, l->room * sizeof *l->us); if (!l->us) die("realloc"); }
    l->us[l->count++] = us;
}
static inline int by_value(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return x < y ? -1 : x > y; }
static inline void sort(struct latencies *l) { qsort(l->us, l->count, sizeof *l->us, by_value); }
// Of sorted latencies; 0 when there are none, the greatest for 1.
static inline uint32_t quantile(const struct latencies *l, double q) { return l->count == 0 ? 0 : q >= 1 ? l->us[l->count - 1] : l->us[(size_t)(l->count * q)]; }
