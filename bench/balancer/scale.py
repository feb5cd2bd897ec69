"""How our balancer's costs grow: with targets and rules, with health checks, with idle connections."""

import contextlib
import functools
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import load
import peers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from common import pss

PORT = 19708
TARGETS, RULES, IDLE = 1_000, 100, 10_000


def rules_and_targets(binary, backend, options):
    """Small keep-alive answers over one target and no rule, and over many of both; all of them take turns, each over the backend's one
    socket. HAProxy has as many targets beside it, since most of the cost is neither program's: the kernel's sockets, of which each
    request meets one that was not used for a while.
    """
    ours = {(targets, rules): balancer(binary, backend, targets, options.threads, rules) for targets, rules in ((1, 0), (TARGETS, 0), (TARGETS, RULES))}
    theirs = {(targets, 0): functools.partial(haproxy, backend, targets, options.threads) for targets in (1, TARGETS)}
    sizes = [("zonal", size, started) for size, started in ours.items()] + [("haproxy", size, started) for size, started in theirs.items()]
    rates = {(program, size): [] for program, size, _ in sizes}
    for _ in range(options.rounds):
        for program, size, started in sizes:
            with started():
                # Connections to all targets are there before it counts.
                rate(options, 1)
                rates[program, size].append(rate(options, options.seconds))

    def cost(program, size):
        return 1 - statistics.median(grown / one for grown, one in zip(rates[program, size], rates[program, (1, 0)]))

    print(f"{TARGETS:,} targets and {RULES} rules: {statistics.median(rates['zonal', (TARGETS, RULES)]):,.0f} requests/s, "
          f"{cost('zonal', (TARGETS, RULES)):+.1%} beside one target without rules (budget 10 %)", flush=True)
    print(f"{TARGETS:,} targets alone: {cost('zonal', (TARGETS, 0)):+.1%}; in HAProxy {cost('haproxy', (TARGETS, 0)):+.1%}", flush=True)


def checks(binary, backend, options):
    """What health checks of many targets every 5 s cost with no traffic."""
    with balancer(binary, backend, TARGETS, options.threads)() as pid:
        before, began = load.cpu_seconds(pid), time.monotonic()
        time.sleep(15)
        share = (load.cpu_seconds(pid) - before) / (time.monotonic() - began)
    print(f"{TARGETS:,} targets checked every 5 s: {share:.2%} of a core (budget 2 %)", flush=True)


def idle_connections(binary, backend, options):
    """Memory with many connections that each made one request and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 1_000:
        print(f"idle connections: left out, only {hard} files may be open")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 1_000, hard))
    opened = []
    try:
        with balancer(binary, backend, 1, options.threads)() as pid:
            empty = pss([pid])
            for _ in range(IDLE):
                one = socket.create_connection(("127.0.0.1", PORT))
                opened.append(one)
                one.sendall(b"GET /100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for one in opened:
                assert one.recv(4096).startswith(b"HTTP/1.1 200"), "an answer came back"
            full = pss([pid])
    finally:
        for one in opened:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{IDLE:,} idle connections: {full:.0f} MiB, {(full - empty) * 1024 / IDLE:.1f} KiB each (budget 300 MiB)", flush=True)


def balancer(binary, backend, targets, threads, rules=0):
    """Ours, with so many targets that are all the backend: to be started."""
    return functools.partial(answering, [binary, str(PORT), f"{backend}x{targets}", str(threads), str(rules)])


@contextlib.contextmanager
def haproxy(backend, targets, threads):
    """The same of HAProxy."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
        config.write(peers.haproxy_grown(PORT, backend, targets, threads))
        config.flush()
        with answering(peers.haproxy(config.name)) as pid:
            yield pid


@contextlib.contextmanager
def answering(command):
    """A balancer's process, once it answers; ended at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=allow_files)
    try:
        load.await_answer(PORT, "/100")
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def allow_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def rate(options, seconds):
    return load.wrk(f"http://127.0.0.1:{PORT}/100", options.connections, seconds)[1]
