"""The way out of the world: TCP and UDP from instances to an internet that stands in namespaces of the tests' own. Needs root.

The world runs in a namespace that stands for the host; `outside` is another, with addresses that exist nowhere else.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
import tempfile
import threading

import pytest

from conftest import Account, World, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the real world needs root")

FAR, NEAR = "203.0.113.80", "10.99.0.80"
CLONE_NEWNET = 0x40000000


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=20)


class Namespace:
    """A network namespace; what is run in it makes its sockets, processes and connections there."""

    def __init__(self, name):
        self.name = name
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def run(self, act):
        """What `act` gives, on a thread that enters and ends there."""
        done = {}

        def inside():
            try:
                with open(f"/run/netns/{self.name}") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                done["value"] = act()
            except BaseException as error:
                done["error"] = error

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in done:
            raise done["error"]
        return done["value"]

    def end(self):
        ip("netns", "del", self.name)


class Echo:
    """Says who it sees, and what it got, over UDP and TCP, on all addresses of where it was made; counts who comes."""

    def __init__(self, port):
        self.port, self.seen = port, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("0.0.0.0", port))
        self.tcp = socket.create_server(("0.0.0.0", port))
        for serve in (self.datagrams, self.streams):
            threading.Thread(target=serve, daemon=True).start()

    def answer(self, kind, data, peer):
        self.seen.append((kind, peer, data))
        return f"{peer[0]} {peer[1]} ".encode() + data

    def datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.udp.recvfrom(65536)
                self.udp.sendto(self.answer("udp", data, peer), peer)

    def streams(self):
        with contextlib.suppress(OSError):
            while True:
                stream, peer = self.tcp.accept()
                with stream, contextlib.suppress(OSError):
                    stream.settimeout(5)
                    stream.sendall(self.answer("tcp", stream.recv(1000), peer))

    def end(self):
        for listening in (self.udp, self.tcp):
            listening.close()


class Site:
    """The host, the world on it, and what is outside."""

    def __init__(self, directory, ends, *arguments, **more):
        """`arguments` and `more` are the world's."""
        host, outside = (Namespace(f"zonal-{role}-{os.getpid()}") for role in ("host", "outside"))
        ends.callback(outside.end)
        ends.callback(host.end)
        ip("-n", host.name, "link", "add", "to-outside", "type", "veth", "peer", "name", "to-host", "netns", outside.name)
        for name, device, addresses in ((host.name, "to-outside", ("203.0.113.1/24", "10.99.0.1/24")),
                                        (outside.name, "to-host", (f"{FAR}/24", f"{NEAR}/24"))):
            ip("-n", name, "link", "set", device, "up")
            for address in addresses:
                ip("-n", name, "address", "add", address, "dev", device)
        self.host = host
        self.echo = outside.run(lambda: Echo(7001))
        ends.callback(self.echo.end)
        self.hosts_own = host.run(lambda: Echo(7001))
        ends.callback(self.hosts_own.end)
        self.world = host.run(lambda: World(f"{directory}/home", "--world", "linux", *arguments, **more))
        ends.callback(lambda: host.run(self.world.end))


@pytest.fixture(scope="module")
def site():
    with tempfile.TemporaryDirectory(prefix="zonal-clients-") as directory, contextlib.ExitStack() as ends:
        os.chmod(directory, 0o755)
        yield Site(directory, ends, "--range", "22", "--vcpu", "1")


# Sends each datagram from the socket of the name before it; prints what comes within a second.
ASK = """
import socket, sys
sockets = {}
for word in sys.argv[1:]:
    name, address, port, text = word.split(",")
    if name not in sockets:
        sockets[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[name].settimeout(1)
    sockets[name].sendto(text.encode() * (1 if len(text) < 9 else 1000), (address, int(port)))
    try:
        data, peer = sockets[name].recvfrom(65536)
        print(text, *peer, data.decode().split()[0:2][0], data.decode().split()[1], len(data.decode().split()[2]))
    except OSError:
        print(text, "nothing")
"""


def inside(site, instance, command):
    return site.host.run(lambda: site.world.run_with(["ssh"], instance, command)).stdout


def ask(site, instance, *words):
    return [line.split() for line in inside(site, instance, f"python3 -c '{ASK}' {' '.join(words)}").splitlines()]


def launch(site, **more):
    def act():
        account = Account(site.world)
        (instance,) = account.launch(**more)
        return account, instance
    return site.host.run(act)


def test_datagrams_reach_the_internet_and_what_answers_is_who_was_asked(site):
    datagrams_go_out(site)


def datagrams_go_out(site):
    _, instance = launch(site)
    said = ask(site, instance, f"a,{FAR},7001,one", f"a,{FAR},7001,two", f"b,{FAR},7001,three", f"a,{FAR},7001,long-text")
    # In the name of the host, since it is the host that asks; the answer comes from where the question went.
    assert [line[:4] for line in said] == [[text, FAR, "7001", "203.0.113.1"] for text in ("one", "two", "three", "long-text")]
    # A flow keeps its socket, and another has its own.
    assert said[0][4] == said[1][4] == said[3][4] != said[2][4]
    # Larger than any packet, so that it went in pieces.
    assert said[3][5] == "9000"


def test_tcp_reaches_the_internet_too(site):
    _, instance = launch(site)
    said = inside(site, instance, f"exec 3<>/dev/tcp/{FAR}/7001; printf hi >&3; cat <&3")
    assert said.startswith("203.0.113.1 ") and said.endswith(" hi")


def test_nothing_near_the_host_is_reached_by_either(site):
    _, instance = launch(site)
    before = len(site.echo.seen), len(site.hosts_own.seen)
    near = (NEAR, "10.99.0.1", "203.0.113.1", "127.0.0.1", "127.122.0.1", "169.254.169.254", "192.168.0.1")
    said = ask(site, instance, *(f"{n},{address},7001,near{n}" for n, address in enumerate(near)))
    assert said == [[f"near{n}", "nothing"] for n in range(len(near))]
    for address in near:
        reached = inside(site, instance, f"timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/7001; printf hi >&3; cat <&3' 2>/dev/null; true")
        assert reached == "", address
    assert (len(site.echo.seen), len(site.hosts_own.seen)) == before


def rule(protocol, port, cidr="0.0.0.0/0"):
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}


def test_a_groups_egress_decides_which_datagrams_leave(site):
    account, instance = launch(site)
    more = site.host.run(lambda: account.instance(instance))
    group = more["SecurityGroups"][0]["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}

    def change(gone, come):
        account.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[gone])
        account.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[come])

    site.host.run(lambda: change(everything, rule("udp", 7002)))
    wait_for("silence", lambda: ask(site, instance, f"a,{FAR},7001,no") == [["no", "nothing"]])
    site.host.run(lambda: change(rule("udp", 7002), rule("udp", 7001)))
    wait_for("an answer", lambda: ask(site, instance, f"a,{FAR},7001,yes")[0][1] == FAR)
    assert inside(site, instance, f"timeout 1 bash -c 'exec 3<>/dev/tcp/{FAR}/7001; printf hi >&3; cat <&3' 2>/dev/null; true") == ""


def test_flows_are_bounded_and_the_newest_is_served(site):
    _, instance = launch(site)
    many = "import socket\nfor n in range(700):\n    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n" \
           f"    s.settimeout(1)\n    s.sendto(b\"%d\" % n, (\"{FAR}\", 7001))\n    s.recv(100)\nprint(\"all\")\n"
    plane = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_plane(site, pid)]
    assert len(plane) == 1
    sockets = lambda: len(os.listdir(f"/proc/{plane[0]}/fd"))
    before = sockets()
    assert inside(site, instance, f"python3 -c '{many}'") == "all\n"
    # Two sockets for a flow, 512 flows for a public address.
    assert before + 2 * 400 < sockets() < before + 2 * 512 + 64
    assert ask(site, instance, f"a,{FAR},7001,more")[0][1] == FAR


def is_plane(site, pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline") as line:
            words = line.read().split("\0")
            return "plane" in words and site.world.home in words
    return False


PING = "ping -c 1 -W 1 {} >/dev/null && echo answered || echo silence"


def test_instances_ping_each_other_as_groups_allow_and_not_the_internet(site):
    account, one = launch(site)
    (two,) = site.host.run(account.launch)
    shown = site.host.run(lambda: account.instance(two))
    group = shown["SecurityGroups"][0]["GroupId"]
    # The default group lets its members in.
    assert inside(site, one, PING.format(shown["PrivateIpAddress"])) == "answered\n"
    # By its public address it is a stranger like any other, until ICMP is let in.
    assert inside(site, one, PING.format(shown["PublicIpAddress"])) == "silence\n"
    def let_in(kind):
        """ICMP of a type."""
        icmp = {"IpProtocol": "icmp", "FromPort": kind, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        site.host.run(lambda: account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[icmp]))

    # Unreachable destinations are none of it.
    let_in(3)
    assert inside(site, one, PING.format(shown["PublicIpAddress"])) == "silence\n"
    let_in(8)
    wait_for("an answer", lambda: inside(site, one, PING.format(shown["PublicIpAddress"])) == "answered\n")
    # Only TCP and UDP leave the world.
    assert inside(site, one, PING.format(FAR)) == "silence\n"
