#!/bin/sh
# WhatsTheTime.com: what an instance runs at its first boot. It needs sh, python3
# and systemctl, which Amazon Linux 2023 has, and fetches nothing: an instance in
# a private subnet has no way out.
set -eu
mkdir -p /opt/whatsthetime

cat > /opt/whatsthetime/app.py <<'PYTHON'
"""WhatsTheTime: an HTTP/1.1 server that tells the time and who tells it.

GET /            the time, the instance and its Availability Zone
GET /health      ok
GET /burn?ms=N   after N milliseconds of CPU time (10000 at most)

It speaks HTTP over socketserver: http.server takes four times as long to
import, which a small instance would spend at every start.
"""
import os
import socket
import socketserver
import time

IMDS = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
PORT = int(os.environ.get("PORT", "80"))
MAX_BURN_MS = 10000


def imds(method, path, header):
    """One request to the instance metadata service: the body of its 200."""
    host, _, port = IMDS.split("//", 1)[1].rstrip("/").partition(":")
    with socket.create_connection((host, int(port or 80)), timeout=5) as conn, conn.makefile("rwb") as stream:
        stream.write("{} /latest/{} HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Length: 0\r\n\r\n"
                     .format(method, path, host, header).encode())
        stream.flush()
        status, length = stream.readline().split(), 0
        while line := stream.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if status[1:2] != [b"200"]:
            raise OSError("instance metadata: {} {} answers {}".format(method, path, status))
        return stream.read(length).decode().strip()


def burn(ms):
    """Keeps the CPU busy for that much of its time, however long that takes."""
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass


def answer(method, target):
    path, _, query = target.partition("?")
    if method not in ("GET", "HEAD"):
        return "405 Method Not Allowed", "only GET and HEAD\n"
    if path == "/":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return "200 OK", "time {}\ninstance {}\nzone {}\n".format(now, INSTANCE, ZONE)
    if path == "/health":
        return "200 OK", "ok\n"
    if path == "/burn":
        ms = query[3:] if query.startswith("ms=") else "100"
        if not (ms.isascii() and ms.isdigit() and len(ms) <= 5 and int(ms) <= MAX_BURN_MS):
            return "400 Bad Request", "ms must be a number from 0 to {}\n".format(MAX_BURN_MS)
        burn(int(ms))
        return "200 OK", "burnt {} ms on {}\n".format(int(ms), INSTANCE)
    return "404 Not Found", "not here\n"


class Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    timeout = 120  # of silence: longer than a load balancer keeps an idle connection

    def handle(self):
        try:
            while self.serve_one():
                pass
        except OSError:
            pass  # the client went away

    def serve_one(self):
        request = self.rfile.readline(8192).decode("latin-1").split()
        headers = {}
        for _ in range(100):
            line = self.rfile.readline(8192).decode("latin-1")
            if not line.strip():
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip().lower()
        else:
            return False
        if len(request) != 3:
            return False
        status, body = answer(request[0], request[1])
        # A request's body is never read, so its connection is not used again.
        keep = (request[2] == "HTTP/1.1" and headers.get("connection") != "close"
                and headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers)
        head = "HTTP/1.1 {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n".format(
            status, len(body), "keep-alive" if keep else "close")
        self.wfile.write((head + ("" if request[0] == "HEAD" else body)).encode())
        return keep


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512


TOKEN = "X-aws-ec2-metadata-token: " + imds("PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60")
INSTANCE = imds("GET", "meta-data/instance-id", TOKEN)
ZONE = imds("GET", "meta-data/placement/availability-zone", TOKEN)

if __name__ == "__main__":
    with Server(("", PORT), Connection) as server:
        print("whatsthetime: {} in {} listens on port {}".format(INSTANCE, ZONE, server.server_address[1]), flush=True)
        server.serve_forever()
PYTHON

cat > /etc/systemd/system/whatsthetime.service <<'UNIT'
[Unit]
Description=WhatsTheTime
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/python3 /opt/whatsthetime/app.py
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
UNIT

systemctl enable --now whatsthetime
