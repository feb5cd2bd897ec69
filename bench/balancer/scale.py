"""How our balancer's costs grow: with targets and rules, with health checks, with idle connections."""

import contextlib
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time

import load

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from common import pss

PORT = 19708
TARGETS, RULES, IDLE = 1_000, 100, 10_000


def rules_and_targets(binary, backend, options):
    """Small keep-alive answers over one target and no rule, and over many of both. They take turns, each over the backend's one socket."""
    rates = {"plain": [], "grown": []}
    for _ in range(options.rounds):
        for name, targets, rules in (("plain", 1, 0), ("grown", TARGETS, RULES)):
            with balancer(binary, f"{backend}x{targets}", options.threads, rules):
                # Connections to all targets are there before it counts.
                rate(options, 1)
                rates[name].append(rate(options, options.seconds))
    cost = 1 - statistics.median(grown / plain for plain, grown in zip(rates["plain"], rates["grown"]))
    print(f"{TARGETS:,} targets and {RULES} rules: {statistics.median(rates['grown']):,.0f} requests/s, "
          f"{cost:+.1%} beside one target without rules (budget 10 %)", flush=True)


def checks(binary, backend, options):
    """What health checks of many targets every 5 s cost with no traffic."""
    with balancer(binary, f"{backend}x{TARGETS}", options.threads, 0) as pid:
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
        with balancer(binary, str(backend), options.threads, 0) as pid:
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


@contextlib.contextmanager
def balancer(binary, targets, threads, rules):
    """Its process id, once it answers; ended at the end."""
    process = subprocess.Popen([binary, str(PORT), targets, str(threads), str(rules)], stdout=subprocess.DEVNULL, start_new_session=True,
                               preexec_fn=allow_files)
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
