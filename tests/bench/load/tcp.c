// Load generator and backend of the TCP benchmarks; one thread, epoll, loopback only.
//
//   tcp echo PORT                                    echoes what it gets
//   tcp source PORT                                  reads an 8-byte big-endian count, sends that many bytes, again
//   tcp pingpong PORT CONNECTIONS SIZE WARM SECONDS  closed loop of SIZE bytes and back on open connections
//   tcp bulk PORT CONNECTIONS BYTES                  asks a source for BYTES in all, discards them
//   tcp churn PORT CONCURRENCY WARM SECONDS          connect, 16 bytes and back, close; again
#include "common.h"

// ---- servers ----
struct peer { int fd; int64_t owed; int have; unsigned char ask[8]; char *held; int off, len; };
static struct peer *peers[MAXFD];

static void drop(int fd) { free(peers[fd]->held); free(peers[fd]); peers[fd] = NULL; close(fd); }

static int pump_source(struct peer *p) { // 1: wants to write, 0: idle
    while (p->owed > 0) {
        ssize_t n = send(p->fd, buf, p->owed < BUF ? (size_t)p->owed : BUF, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN ? 1 : -1;
        p->owed -= n;
    }
    return 0;
}

static void serve(int port, int source) {
    int ep = epoll_create1(0), ls = listener(ep, port);
    struct epoll_event ev[512];
    for (;;) {
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = ev[i].data.fd;
            if (fd == ls) {
                for (int c; (c = accept_next(ep, ls)) >= 0;) { peers[c] = calloc(1, sizeof(struct peer)); peers[c]->fd = c; }
                continue;
            }
            struct peer *p = peers[fd];
            if (source) {
                if (p->owed == 0) {
                    ssize_t r = recv(fd, p->ask + p->have, 8 - p->have, 0);
                    if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; drop(fd); continue; }
                    p->have += r;
                    if (p->have < 8) continue;
                    p->have = 0;
                    for (int k = 0; k < 8; k++) p->owed = p->owed << 8 | p->ask[k];
                }
                int w = pump_source(p);
                if (w < 0) { drop(fd); continue; }
                watch(ep, EPOLL_CTL_MOD, fd, w ? EPOLLOUT : EPOLLIN);
            } else {
                if (p->len > p->off) {
                    ssize_t w = send(fd, p->held + p->off, p->len - p->off, MSG_NOSIGNAL);
                    if (w < 0 && errno != EAGAIN) { drop(fd); continue; }
                    if (w > 0) p->off += w;
                    if (p->off < p->len) continue;
                    p->off = p->len = 0; watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN);
                    continue;
                }
                ssize_t r = recv(fd, buf, BUF, 0);
                if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; drop(fd); continue; }
                ssize_t w = send(fd, buf, r, MSG_NOSIGNAL);
                if (w < 0) { if (errno != EAGAIN) { drop(fd); continue; } w = 0; }
                if (w < r) { if (!p->held) p->held = malloc(BUF); memcpy(p->held, buf + w, r - w); p->off = 0; p->len = r - w; watch(ep, EPOLL_CTL_MOD, fd, EPOLLOUT); }
            }
        }
    }
}

// ---- clients ----
static struct latencies latencies;
static void finish(int64_t count, int64_t failed, int64_t us) {
    ended();
    sort(&latencies);
    printf("count=%lld failed=%lld seconds=%.6f p50=%u p99=%u max=%u\n", (long long)count, (long long)failed, us / 1e6,
           quantile(&latencies, 0.5), quantile(&latencies, 0.99), quantile(&latencies, 1));
    exit(0);
}

struct call { int fd, got, connected; int64_t start; };
static struct call calls[MAXC];

static void pingpong(int port, int conns, int size, double warm, double seconds) {
    int ep = epoll_create1(0);
    for (int i = 0; i < conns; i++) {
        calls[i].fd = dial(port, 0);
        if (calls[i].fd < 0) die("connect");
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(ep, EPOLL_CTL_ADD, calls[i].fd, &e);
        calls[i].start = now_us();
        if (send(calls[i].fd, buf, size, MSG_NOSIGNAL) != size) die("send");
    }
    int64_t t0 = now_us(), begin = t0 + (int64_t)(warm * 1e6), end = begin + (int64_t)(seconds * 1e6), count = 0; int on = 0;
    struct epoll_event ev[512];
    for (;;) {
        int n = epoll_wait(ep, ev, 512, 5000);
        if (n == 0) { fprintf(stderr, "stalled\n"); exit(1); }
        int64_t t = now_us();
        if (!on && t >= begin) { on = 1; begin = t; end = t + (int64_t)(seconds * 1e6); began(); }
        if (t >= end) finish(count, 0, t - begin);
        for (int i = 0; i < n; i++) {
            struct call *c = &calls[ev[i].data.u32];
            ssize_t r = recv(c->fd, buf, size - c->got, MSG_DONTWAIT);
            if (r < 0 && errno == EAGAIN) continue;
            if (r <= 0) { fprintf(stderr, "connection lost: %s\n", r ? strerror(errno) : "end of stream"); exit(1); }
            if ((c->got += r) < size) continue;
            c->got = 0; t = now_us();
            if (on) { count++; record(&latencies, t - c->start); }
            c->start = t;
            if (send(c->fd, buf, size, MSG_NOSIGNAL) != size) die("send");
        }
    }
}

static void bulk(int port, int conns, int64_t bytes) {
    int ep = epoll_create1(0);
    for (int i = 0; i < conns; i++) { calls[i].fd = dial(port, 0); if (calls[i].fd < 0) die("connect"); struct epoll_event e = {.events = EPOLLIN, .data.u32 = i}; epoll_ctl(ep, EPOLL_CTL_ADD, calls[i].fd, &e); }
    int64_t each = bytes / conns, got = 0, want = 0, begin = 0;
    // One megabyte each first, so that handshakes are not counted.
    for (int round = 0; round < 2; round++) {
        int64_t ask = round ? each : 1 << 20; unsigned char q[8];
        for (int k = 0; k < 8; k++) q[k] = ask >> (56 - 8 * k);
        if (round) { began(); begin = now_us(); }
        for (int i = 0; i < conns; i++) if (send(calls[i].fd, q, 8, MSG_NOSIGNAL) != 8) die("send");
        got = 0; want = ask * conns;
        struct epoll_event ev[512];
        while (got < want) {
            int n = epoll_wait(ep, ev, 512, 10000);
            if (n == 0) { fprintf(stderr, "stalled at %lld of %lld\n", (long long)got, (long long)want); exit(1); }
            for (int i = 0; i < n; i++) {
                ssize_t r = recv(calls[ev[i].data.u32].fd, buf, BUF, MSG_DONTWAIT);
                if (r < 0 && errno == EAGAIN) continue;
                if (r <= 0) { fprintf(stderr, "connection lost\n"); exit(1); }
                got += r;
            }
        }
    }
    finish(got, 0, now_us() - begin);
}

static int reopen(int ep, int i, int port) {
    calls[i].fd = dial(port, 1); calls[i].connected = 0; calls[i].got = 0; calls[i].start = now_us();
    if (calls[i].fd < 0) return -1;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    return epoll_ctl(ep, EPOLL_CTL_ADD, calls[i].fd, &e);
}

static void churn(int port, int conns, double warm, double seconds) {
    int ep = epoll_create1(0);
    for (int i = 0; i < conns; i++) if (reopen(ep, i, port) < 0) die("connect");
    int64_t t0 = now_us(), begin = t0 + (int64_t)(warm * 1e6), end = begin + (int64_t)(seconds * 1e6), count = 0, failed = 0; int on = 0;
    struct epoll_event ev[512];
    for (;;) {
        int n = epoll_wait(ep, ev, 512, 5000);
        if (n == 0) { fprintf(stderr, "stalled\n"); exit(1); }
        int64_t t = now_us();
        if (!on && t >= begin) { on = 1; begin = t; end = t + (int64_t)(seconds * 1e6); began(); }
        if (t >= end) finish(count, failed, t - begin);
        for (int i = 0; i < n; i++) {
            int id = ev[i].data.u32; struct call *c = &calls[id]; int over = 0;
            if (!c->connected) {
                int error = 0; socklen_t len = sizeof error;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
                if (error) over = -1;
                else { c->connected = 1; struct epoll_event e = {.events = EPOLLIN, .data.u32 = id}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e); if (send(c->fd, buf, 16, MSG_NOSIGNAL) != 16) over = -1; }
            } else {
                ssize_t r = recv(c->fd, buf, 16 - c->got, MSG_DONTWAIT);
                if (r < 0 && errno == EAGAIN) continue;
                if (r <= 0) over = -1; else if ((c->got += r) == 16) over = 1;
            }
            if (!over) continue;
            if (on) { if (over > 0) { count++; record(&latencies, now_us() - c->start); } else failed++; }
            close(c->fd);
            if (reopen(ep, id, port) < 0) die("connect");
        }
    }
}

int main(int n, char **a) {
    signal(SIGPIPE, SIG_IGN);
    memset(buf, 'x', sizeof buf);
    if (n == 3 && !strcmp(a[1], "echo")) serve(atoi(a[2]), 0);
    if (n == 3 && !strcmp(a[1], "source")) serve(atoi(a[2]), 1);
    if (n == 7 && !strcmp(a[1], "pingpong") && atoi(a[3]) <= MAXC) pingpong(atoi(a[2]), atoi(a[3]), atoi(a[4]), atof(a[5]), atof(a[6]));
    if (n == 5 && !strcmp(a[1], "bulk") && atoi(a[3]) <= MAXC) bulk(atoi(a[2]), atoi(a[3]), atoll(a[4]));
    if (n == 6 && !strcmp(a[1], "churn") && atoi(a[3]) <= MAXC) churn(atoi(a[2]), atoi(a[3]), atof(a[4]), atof(a[5]));
    fprintf(stderr, "usage: see the head of tcp.c\n");
    return 64;
}
