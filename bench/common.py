"""What the benchmarks of the whole program share: a world of their own, moto's server beside it, and a client that costs nothing.

moto is installed into .cache/moto at the first use.
"""

import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOTO = ROOT / ".cache/moto"
VERSIONS = {"ec2": "2016-11-15", "cloudformation": "2010-05-15"}


def program(given=None):
    """The release build."""
    if given:
        return str(pathlib.Path(given).resolve())
    subprocess.run(["cargo", "build", "--release", "--quiet", "--locked", "-p", "zonal"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/zonal")


def moto_server():
    """moto's server, and its version."""
    server = MOTO / "bin/moto_server"
    if not server.exists():
        subprocess.run([sys.executable, "-m", "venv", MOTO], check=True)
        subprocess.run([MOTO / "bin/pip", "install", "--quiet", "moto[server]"], check=True)
    said = subprocess.run([MOTO / "bin/python", "-c", "import moto; print(moto.__version__)"], capture_output=True, text=True, check=True)
    return str(server), said.stdout.strip()


def free_port():
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def query(service, action, members=None):
    """The head and body of a call of a query service, as a client sends it."""
    body = urllib.parse.urlencode({"Action": action, "Version": VERSIONS[service]} | (members or {}))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00",
    }
    return headers, body


class Client:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, service, action, members=None):
        headers, body = query(service, action, members)
        self.connection.request("POST", "/", body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            sys.exit(f"{action}: {answer.status} {text[:2000]}")
        return text

    def fetch(self, path):
        self.connection.request("GET", path)
        return self.connection.getresponse().read().decode()


def await_answer(port, process, seconds=60):
    """Until a call is answered. It asks without a pause, so that what is measured is not the pause."""
    headers, body = query("ec2", "DescribeVpcs")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
            connection.request("POST", "/", body, headers)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.0002)
        if process.poll() is not None and process.returncode:
            sys.exit(f"the server ended with {process.returncode}")
    sys.exit(f"nothing answers on port {port}")


class World:
    """A world of Zonal's, ended with all that it made."""

    def __init__(self, binary, *arguments, name="home"):
        self.binary, self.arguments = binary, arguments
        self.directory = tempfile.mkdtemp(prefix="zonal-bench-")
        # The daemon is no root: it must get in.
        os.chmod(self.directory, 0o755)
        self.home = f"{self.directory}/{name}"
        self.port = free_port()
        self.process = None

    def up(self):
        """Starts it, in the foreground of a session of its own."""
        command = [self.binary, "up", "--home", self.home, "--port", str(self.port), "--dns-port", str(free_port()), *self.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(f"{self.directory}/log", "a"),
                                        start_new_session=True)
        return self.process

    def down(self, *more):
        subprocess.run([self.binary, "down", "--home", self.home, *more], stdout=subprocess.DEVNULL, check=False, timeout=60)
        if self.process:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def end(self):
        self.down("--purge")
        shutil.rmtree(self.directory, ignore_errors=True)

    def client(self):
        return Client(self.port)

    def processes(self):
        """The processes that run it: what they are for, and their ids."""
        found = {}
        for pid, words in command_lines():
            if len(words) > 2 and words[0].endswith("zonal") and words[2] == self.home:
                found[words[1]] = pid
        holder = pathlib.Path(self.home, "holder.pid")
        if holder.exists():
            found["holder"] = int(holder.read_text().split()[0])
        return found


class Moto:
    """moto's server."""

    def __init__(self, server):
        self.server, self.port, self.process = server, free_port(), None

    def up(self):
        self.process = subprocess.Popen([self.server, "--host", "127.0.0.1", "--port", str(self.port)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        return self.process

    def down(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def client(self):
        return Client(self.port)


def command_lines():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    yield int(entry), [word.decode(errors="replace") for word in file.read().split(b"\0")]
            except OSError:
                continue


def pss(pids):
    """The memory of processes in MiB, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024
