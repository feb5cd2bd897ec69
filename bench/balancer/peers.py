"""What stands beside our balancer, each tuned as its documentation advises, and the target behind all of them."""

import os
import shutil

BACKEND = """
worker_processes 1; daemon off; pid {dir}/backend.pid; error_log {dir}/backend.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; root {dir}/www; open_file_cache max=100; sendfile on; tcp_nopush on;
  server {{ listen 127.0.0.1:{backend} reuseport backlog=4096; }} }}
"""

# As its documentation of upstream keepalive advises.
NGINX = """
worker_processes {threads}; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000;
  ssl_certificate {dir}/certificate.pem; ssl_certificate_key {dir}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  upstream targets {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} reuseport backlog=4096; listen 127.0.0.1:{tls} ssl http2 reuseport backlog=4096;
    location / {{ proxy_pass http://targets; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port; }} }} }}
"""

HAPROXY = """
global
  nbthread {threads}
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 10s
  http-reuse always
  option forwardfor
listen balance
  bind 127.0.0.1:{port} shards by-thread
  bind 127.0.0.1:{tls} shards by-thread ssl crt {dir}/both.pem alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Port %[dst_port]
  server one 127.0.0.1:{backend} pool-max-conn 256
"""

HAPROXY_TCP = """
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
  bind 127.0.0.1:{port} shards by-thread
  server one 127.0.0.1:{backend}
"""


def haproxy_grown(port, backend, targets, threads):
    """Its configuration with many targets that are all one backend, taken in turns."""
    servers = "".join(f"  server target-{target} 127.0.0.1:{backend} pool-max-conn 256\n" for target in range(targets))
    return f"""
global
  nbthread {threads}
  maxconn 4000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 10s
  http-reuse always
  option forwardfor
listen balance
  bind 127.0.0.1:{port} shards by-thread
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  balance roundrobin
{servers}"""


def nginx(config):
    return [find("nginx"), "-c", config]


def haproxy(config):
    return [find("haproxy"), "-db", "-f", config]


def find(tool):
    """Its path, or None. Debian keeps servers where an ordinary user's PATH does not lead."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
