"""The load: wrk for HTTP/1.1, h2load for HTTP/2, and what a round of either measures."""

import collections
import os
import re
import subprocess
import sys
import time
import urllib.request

# Requests/s; latencies in µs; µs of the proxy's CPU per request.
Sample = collections.namedtuple("Sample", "rate p50 p99 p999 cpu")
# Streams that share one connection of HTTP/2. As many requests are under way as with HTTP/1.1.
STREAMS = 4
TICK = os.sysconf("SC_CLK_TCK")
LATENCIES = """
done = function(_, latency, _)
  for _, share in ipairs({50, 99, 99.9}) do io.write(string.format("share %.1f: %d\\n", share, latency:percentile(share))) end
end
"""


def measure(process, directory, url, keep, http2, options):
    """One round against a proxy whose processes are the group of `process`."""
    before = cpu_seconds(process.pid)
    if http2:
        count, rate, latencies = h2load(directory, url, options)
    else:
        count, rate, latencies = wrk(url, options.connections, options.seconds, keep, directory)
    return Sample(rate, *latencies, (cpu_seconds(process.pid) - before) / count * 1e6)


def wrk(url, connections, seconds, keep=True, directory=None):
    """Requests made, requests/s, and with a directory for its script the latencies at 50, 99 and 99.9 %."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"] + ([] if keep else ["-H", "Connection: close"])
    if directory:
        with open(f"{directory}/latencies.lua", "w") as file:
            file.write(LATENCIES)
        command += ["-s", file.name]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{url}: {said}")
    latencies = [int(value) for value in re.findall(r"share [\d.]+: (\d+)", said)]
    return int(re.search(r"(\d+) requests in", said)[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), latencies


def h2load(directory, url, options):
    log = f"{directory}/h2load.log"
    if os.path.exists(log):
        os.remove(log)
    said = subprocess.run(["h2load", "-t1", f"-c{max(1, options.connections // STREAMS)}", f"-m{STREAMS}", f"-D{options.seconds}",
                           f"--log-file={log}", url], capture_output=True, text=True, check=True).stdout
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", said)
    if not done or int(done[3]) or not int(done[1]) or "Application protocol: h2" not in said:
        sys.exit(f"{url}: {said}")
    with open(log) as file:
        waited = sorted(int(line.split()[2]) for line in file)
    latencies = [waited[min(len(waited) - 1, int(len(waited) * share))] for share in (0.5, 0.99, 0.999)]
    return int(done[1]), int(done[1]) / options.seconds, latencies


def cpu_seconds(group):
    """Of all processes in a group: masters and workers."""
    total = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def await_answer(port, path="/"):
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"nothing answers on port {port}: {error}")
            time.sleep(0.05)
