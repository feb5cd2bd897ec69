"""TCP passed through: our network load balancer beside HAProxy's `mode tcp`, same backend, same rounds."""

import os
import shutil
import statistics

PORTS = {"zonal": 19706, "haproxy": 19707}

HAPROXY = """
global
  nbthread {threads}
  maxconn 4000
defaults
  mode tcp
  option splice-auto
  timeout client 60s
  timeout server 60s
  timeout connect 10s
listen flows
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{backend}
"""


def lines(start, measure, await_answer, binary, backend, sizes, options):
    """A line per answer size, and one for a connection per request. `start`, `measure` and `await_answer` are the bench's own."""
    haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    flow = f"{os.path.dirname(binary)}/flow"
    processes = {
        "zonal": start("flow", [flow, str(PORTS["zonal"]), str(backend), str(options.threads)]),
        "haproxy": start("tcp", lambda config: [haproxy, "-db", "-f", config], HAPROXY, port=PORTS["haproxy"]),
    }
    for port in PORTS.values():
        await_answer(port)
    print(f"{'TCP':>8}  {'proxy':8} {'requests/s':>11} {'Gbit/s':>9} {'p99':>9} {'CPU/request':>12} {'beside HAProxy':>13}")
    for size, keep in [(size, True) for size in sizes] + [(sizes[0], False)]:
        samples = {name: [] for name in processes}
        for _ in range(options.rounds):
            for name, process in processes.items():
                samples[name].append(measure(process.pid, PORTS[name], size, keep, options))
        for name, rounds in samples.items():
            rate, _, p99, cpu = (statistics.median(column) for column in zip(*rounds))
            ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in zip(rounds, samples["haproxy"]))
            print(f"{size if keep else f'{size} new':>8}  {name:8} {rate:>11,.0f} {rate * size * 8 / 1e9:>9.2f} {p99:>7,.0f}µs "
                  f"{cpu:>10.2f}µs {ratio:>12.2f}x", flush=True)
