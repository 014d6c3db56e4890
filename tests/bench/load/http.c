// Load generator and backend of the HTTP benchmark, HTTP/1.1 with keep-alive; one thread, epoll, loopback only.
//
//   http serve PORT                                       answers 64 bytes, or N to GET /bytes/N
//   http run PORT CONNECTIONS WARM SECONDS [RATE [PATH]]  GETs on open connections: a closed loop, or paced at RATE a second in all (0: closed loop)
//   http arrivals PORT CONNECTIONS WARM SECONDS RATE      the same paced, while 50 new connections arrive every 0.3 s with one request each
//   http idle PORT CONNECTIONS WARM SECONDS               one request on each connection, then nothing
//
// Connections are opened one after the other, each with a request, before the warm period. Latencies of paced requests count from when they
// were due. What is not a whole response with status 200 counts as failed, at any time, and standard error says why.
#include "common.h"
#include <poll.h>
#include <sys/prctl.h>

enum { HEAD = 4096, ARRIVALS = 50, ARRIVALS_EVERY_US = 300000, STALLED_US = 5000000 };

// ---- server ----
struct client { char head[HEAD]; int have; int64_t owed; };
static struct client *clients[MAXFD];

// Answers what has been asked, as far as the socket takes it. 1: wants to write, 0: wants to read, -1: over.
static int answer(int fd, struct client *c) {
    for (;;) {
        for (ssize_t n; c->owed > 0; c->owed -= n)
            if ((n = send(fd, buf, c->owed < BUF ? (size_t)c->owed : BUF, MSG_NOSIGNAL)) < 0) return errno == EAGAIN ? 1 : -1;
        char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
        if (!end) return c->have == HEAD ? -1 : 0;
        *end = 0;
        char response[256];
        c->owed = strncmp(c->head, "GET /bytes/", 11) ? 64 : atoll(c->head + 11);
        int length = sprintf(response, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %lld\r\n\r\n", (long long)c->owed);
        if (c->owed == 64) { memcpy(response + length, buf, 64); length += 64; c->owed = 0; }
        if (send(fd, response, length, MSG_NOSIGNAL) != length) return -1;
        int used = end + 4 - c->head;
        memmove(c->head, c->head + used, c->have -= used);
    }
}

static void serve(int port) {
    int ep = epoll_create1(0), ls = listener(ep, port);
    struct epoll_event ev[512];
    for (;;) {
        int n = epoll_wait(ep, ev, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = ev[i].data.fd;
            if (fd == ls) {
                for (int c; (c = accept_next(ep, ls)) >= 0;) clients[c] = calloc(1, sizeof(struct client));
                continue;
            }
            struct client *c = clients[fd];
            int was = c->owed > 0, wants = 0;
            if (!was) {
                ssize_t r = recv(fd, c->head + c->have, HEAD - c->have, 0);
                if (r < 0 && errno == EAGAIN) continue;
                if (r <= 0) wants = -1; else c->have += r;
            }
            if (wants == 0) wants = answer(fd, c);
            if (wants < 0) { free(c); clients[fd] = NULL; close(fd); }
            else if (wants != was) watch(ep, EPOLL_CTL_MOD, fd, wants ? EPOLLOUT : EPOLLIN);
        }
    }
}

// ---- client ----
struct conn { int fd; char head[HEAD]; int have; int status; int64_t owed, due; };
static struct conn conns[MAXC];
static int ep, port;
static char request[512];
static int64_t failed, body_bytes;

enum outcome { MORE, DONE, FAILED };

static enum outcome fault(const char *what) { if (failed++ < 5) fprintf(stderr, "failed: %s\n", what); return FAILED; }

// Takes what has arrived of a response; FAILED is counted, and the connection is of no further use.
static enum outcome receive(struct conn *c) {
    if (c->status == 0) {
        ssize_t r = recv(c->fd, c->head + c->have, HEAD - 1 - c->have, MSG_DONTWAIT);
        if (r < 0 && errno == EAGAIN) return MORE;
        if (r <= 0) return fault(r ? strerror(errno) : c->have ? "the connection ended inside a head" : "the connection ended without a response");
        c->have += r; c->head[c->have] = 0;
        char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "\r\ncontent-length:");
        if (!end) return c->have == HEAD - 1 ? fault("a head without an end") : MORE;
        if (sscanf(c->head, "HTTP/1.1 %d", &c->status) != 1 || !length || length > end) return fault("a head that is not understood");
        int body = c->have - (end + 4 - c->head);
        c->owed = atoll(length + 17) - body; body_bytes += body;
    } else {
        ssize_t r = recv(c->fd, buf, BUF, MSG_DONTWAIT);
        if (r < 0 && errno == EAGAIN) return MORE;
        if (r <= 0) return fault("the connection ended inside a body");
        c->owed -= r; body_bytes += r;
    }
    if (c->owed > 0) return MORE;
    if (c->owed < 0) return fault("bytes after a response");
    if (c->status != 200) { char what[32]; sprintf(what, "status %d", c->status); return fault(what); }
    return DONE;
}

static void ask(struct conn *c, int64_t due) {
    c->have = c->status = 0; c->due = due;
    int length = strlen(request);
    if (send(c->fd, request, length, MSG_NOSIGNAL | MSG_DONTWAIT) != length) shutdown(c->fd, SHUT_RDWR); // which the next read finds and counts
}

static void open_conn(struct conn *c) {
    if ((c->fd = dial(port, 0)) < 0) die("connect");
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) < 0) die("epoll_ctl");
}

// Opens what the measurement goes over, with a request on each.
static void open_all(int count) {
    for (struct conn *c = conns; c < conns + count; c++) {
        open_conn(c); ask(c, 0);
        enum outcome o;
        while ((o = receive(c)) == MORE) {
            struct pollfd p = {.fd = c->fd, .events = POLLIN};
            if (poll(&p, 1, STALLED_US / 1000) == 0) { fprintf(stderr, "no answer on a new connection\n"); exit(1); }
        }
        if (o == FAILED) exit(1);
    }
}

// Connections without a request, longest without one first: so all of them take part when paced.
static struct conn *idle[MAXC]; static unsigned idle_head, idle_tail;
static void rest(struct conn *c) { idle[idle_tail++ % MAXC] = c; }

static void run(int count, double warm, double seconds, double rate, int arrivals) {
    struct latencies old = {0}, new = {0};
    struct conn *spare[MAXC]; int spares = 0, arriving = 0;
    for (struct conn *c = conns + MAXC - 1; c >= conns + count; c--) spare[spares++] = c;
    double step = rate > 0 ? 1e6 / rate : 0, due = now_us();
    int64_t begin = (int64_t)due + (int64_t)(warm * 1e6), end = INT64_MAX, done = 0, body_before = 0, next_arrivals = INT64_MAX, progress = (int64_t)due;
    int on = 0;
    for (struct conn *c = conns; c < conns + count; c++) if (rate > 0) rest(c); else ask(c, now_us());
    struct epoll_event ev[256];
    for (;;) {
        int64_t now = now_us();
        if (!on && now >= begin) { on = 1; begin = now; end = now + (int64_t)(seconds * 1e6); body_before = body_bytes; next_arrivals = arrivals ? now : INT64_MAX; began(); }
        if (now >= end) break;
        if (now - progress > STALLED_US) { fprintf(stderr, "stalled\n"); exit(1); }
        if (now >= next_arrivals) { arriving += ARRIVALS; next_arrivals += ARRIVALS_EVERY_US; }
        // One in each turn, so that opening them does not hold up those that are measured.
        if (arriving > 0) {
            if (spares == 0) { fprintf(stderr, "new connections are not served\n"); exit(1); }
            arriving--;
            struct conn *c = spare[--spares];
            open_conn(c); ask(c, now_us());
        }
        for (; rate > 0 && due <= now && idle_head != idle_tail; due += step) ask(idle[idle_head++ % MAXC], (int64_t)due);
        int64_t wake = on ? end : begin;
        if (next_arrivals < wake) wake = next_arrivals;
        if (rate > 0 && idle_head != idle_tail && due < wake) wake = (int64_t)due;
        int64_t wait = arriving > 0 || wake <= now ? 0 : wake - now;
        struct timespec timeout = {wait / 1000000, wait % 1000000 * 1000};
        int n = epoll_pwait2(ep, ev, 256, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            enum outcome o = receive(c);
            if (o == MORE) continue;
            progress = now = now_us();
            if (c >= conns + count) { if (o == DONE) record(&new, now - c->due); close(c->fd); spare[spares++] = c; continue; }
            if (o == FAILED) { close(c->fd); open_conn(c); }
            else if (on) { done++; if (c->due >= begin) record(&old, now - c->due); }
            if (rate > 0) rest(c); else ask(c, now);
        }
    }
    int64_t us = now_us() - begin, bytes = body_bytes - body_before;
    ended();
    // What was due and has not been answered has taken at least this long.
    if (rate > 0) {
        for (unsigned i = idle_head; i != idle_tail; i++) idle[i % MAXC]->due = INT64_MAX;
        for (struct conn *c = conns; c < conns + count; c++) if (c->due >= begin && c->due < end) record(&old, end - c->due);
        for (; due < end; due += step) record(&old, end - (int64_t)due);
    }
    sort(&old); sort(&new);
    printf("count=%lld failed=%lld seconds=%.6f p50=%u p99=%u p999=%u max=%u bytes=%lld new=%zu new_p99=%u\n", (long long)done, (long long)failed, us / 1e6,
           quantile(&old, 0.5), quantile(&old, 0.99), quantile(&old, 0.999), quantile(&old, 1), (long long)bytes, new.count, quantile(&new, 0.99));
}

static void pause_for(double seconds) { struct timespec t = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)}; nanosleep(&t, NULL); }

static void stay_idle(int count, double warm, double seconds) {
    pause_for(warm);
    began();
    pause_for(seconds);
    ended();
    for (struct conn *c = conns; c < conns + count; c++) if (recv(c->fd, buf, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN) fault("an idle connection ended");
    printf("count=%d failed=%lld seconds=%.6f\n", count, (long long)failed, seconds);
}

int main(int n, char **a) {
    signal(SIGPIPE, SIG_IGN);
    memset(buf, 'x', sizeof buf);
    if (n == 3 && !strcmp(a[1], "serve")) serve(atoi(a[2]));
    int count = n >= 6 ? atoi(a[3]) : 0, arrivals = n == 7 && !strcmp(a[1], "arrivals"), is_idle = n == 6 && !strcmp(a[1], "idle");
    if (count < 1 || count > MAXC || !(arrivals || is_idle || (n <= 8 && !strcmp(a[1], "run")))) { fprintf(stderr, "usage: see the head of http.c\n"); return 64; }
    prctl(PR_SET_TIMERSLACK, 1000UL); // nanoseconds; the default is as long as a paced request may take
    ep = epoll_create1(0); port = atoi(a[2]);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h1.bench.svc.cluster.local\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", n == 8 ? a[7] : "/");
    open_all(count);
    if (is_idle) stay_idle(count, atof(a[4]), atof(a[5])); else run(count, atof(a[4]), atof(a[5]), n > 6 ? atof(a[6]) : 0, arrivals);
    return 0;
}
