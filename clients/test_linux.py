"""The real world, from the host: processes that run, packets that pass, names that resolve. Needs root; skipped without."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile

import pytest

from conftest import ROOT, Account, World, dig, program, wait_for
from test_survival import processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the real world needs root")

SERVER = """#!/bin/sh
mkdir -p /srv/www && cd /srv/www && echo "hello from $(hostname)" > index.html
exec setsid python3 -m http.server 80 >/dev/null 2>&1 </dev/null &
"""


@contextlib.contextmanager
def a_world(*arguments):
    # Not in pytest's own directory: nobody but root may enter that, and the daemon and the plane are not root.
    with tempfile.TemporaryDirectory(prefix="zonal-clients-") as directory:
        os.chmod(directory, 0o755)
        world = World(f"{directory}/home", "--world", "linux", *arguments)
        try:
            yield world
        finally:
            world.end()


@pytest.fixture(scope="module")
def real():
    with a_world("--range", "17") as world:
        yield world


@pytest.fixture
def there(real):
    return Account(real)


def curl(url, *more, seconds=5):
    done = subprocess.run(["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(seconds),
                           "--output", "-", "--write-out", "\n%{http_code}", *more, url], capture_output=True, text=True, timeout=seconds + 5)
    body, _, code = done.stdout.rpartition("\n")
    return (int(code), body) if done.returncode == 0 else (0, done.stderr.strip())


def answers(url, *more):
    """The body, once the page is there."""
    return wait_for(f"200 from {url}", lambda: (found := curl(url, *more))[0] == 200 and found[1], 60)


def open_group(account, vpc, port=80):
    group = account.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    return group


def test_the_first_packet(there):
    vpc, _ = there.default_subnets()
    group = open_group(there, vpc)
    (instance,) = there.launch(UserData=SERVER, SecurityGroupIds=[group])
    shown = there.instance(instance)
    url = f"http://{shown['PublicIpAddress']}/"
    assert answers(url).strip() == f"hello from {shown['PrivateDnsName']}"

    # The group is what lets the packets in: without its rule, none.
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    there.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    wait_for("silence", lambda: curl(url, seconds=1)[0] == 0)
    there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    answers(url)

    there.ec2.terminate_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance])
    assert curl(url, seconds=1)[0] == 0


EVERY_BOOT = """#!/bin/sh
mkdir -p /srv/www
cat > /etc/systemd/system/www.service <<'UNIT'
[Service]
WorkingDirectory=/srv/www
ExecStartPre=/bin/sh -c "date +%s%N >> boots"
ExecStart=/usr/bin/python3 -m http.server 80
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now www
"""


def test_a_disk_outlives_a_stop_and_services_start_at_each_boot(there):
    vpc, _ = there.default_subnets()
    (instance,) = there.launch(UserData=EVERY_BOOT, SecurityGroupIds=[open_group(there, vpc)])
    boots = lambda: answers(f"http://{there.instance(instance)['PublicIpAddress']}/boots").split()
    first = boots()
    there.ec2.stop_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    there.ec2.start_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    again = boots()
    assert again[0] == first[0] and len(again) == 2


def test_the_console_shows_what_an_instance_says(real, there):
    (instance,) = there.launch(UserData="#!/bin/sh\necho the-user-data-ran\n")
    wait_for("its console", lambda: "the-user-data-ran" in real.run("logs", instance).stdout)


def test_phase_5_answers_by_its_name_and_loses_an_instance_without_a_word(real, there):
    there.aws("cloudformation", "deploy", "--stack-name", "whatsthetime", "--template-file",
              str(ROOT / "cases/whatsthetime/phase-5.yaml"), "--parameter-overrides", f"DomainName=w{there.id}.example")
    name = f"w{there.id}.example"
    assert dig(real, name + "."), "the alias resolves"
    through = lambda: curl(f"http://{name}.localhost:{real.port}/", "--resolve", f"{name}.localhost:{real.port}:127.0.0.1")
    wait_for("200 through the name", lambda: through()[0] == 200, 60)

    def instances():
        """Those who answer, of a dozen requests; None unless all were answered."""
        found = [through() for _ in range(12)]
        return {body.split("instance ")[1].split()[0] for _, body in found} if {code for code, _ in found} == {200} else None

    three = wait_for("all three", lambda: len(found := instances() or ()) == 3 and found, 60)
    victim = sorted(three)[0]
    real.run("break", "instance", victim)
    wait_for("two, and no error", lambda: instances() == three - {victim}, 90)
    there.cloudformation.delete_stack(StackName="whatsthetime")
    there.cloudformation.get_waiter("stack_delete_complete").wait(StackName="whatsthetime")


def test_nothing_is_left_of_a_purged_world():
    with a_world("--range", "18") as world:
        Account(world).launch()
    assert not os.path.exists(world.home)
    mounts = open("/proc/self/mounts").read()
    assert world.home not in mounts
    running = subprocess.run(["pgrep", "--full", world.home], capture_output=True, text=True).stdout
    assert running == ""


def up_again(world, number):
    done = subprocess.run([program(), "up", "--detach", "--home", world.home, "--world", "linux", "--range", number, "--port",
                           str(world.port), "--dns-port", str(world.dns_port)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_ran_when_the_world_went_down_boots_again_as_it_was():
    with a_world("--range", "19", "--detach") as world:
        account = Account(world)
        vpc, _ = account.default_subnets()
        instances = account.launch(3, UserData=SERVER, SecurityGroupIds=[open_group(account, vpc)])
        keep = ("PublicIpAddress", "PrivateIpAddress", "InstanceId")
        before = [{name: account.instance(each)[name] for name in keep} for each in instances]
        for each in before:
            answers(f"http://{each['PublicIpAddress']}/")
        for _ in range(2):
            world.run("down")
            up_again(world, "19")
            running = lambda: [account.instance(each)["State"]["Name"] for each in instances] == ["running"] * 3
            wait_for("all run again", running, 60)
            assert [{name: account.instance(each)[name] for name in keep} for each in instances] == before
            # User data has had its turn; what a shell sees is alive.
            for each in before:
                world.run_with(["ssh"], each["InstanceId"], "--", "true")


def test_traffic_goes_on_while_the_control_plane_is_dead():
    with a_world("--range", "19", "--detach") as world:
        account = Account(world)
        vpc, _ = account.default_subnets()
        (instance,) = account.launch(UserData=SERVER, SecurityGroupIds=[open_group(account, vpc)])
        shown = account.instance(instance)
        url = f"http://{shown['PublicIpAddress']}/"
        answers(url)
        running = processes(world.home)
        for role in ("supervise", "daemon"):
            os.kill(running[role], signal.SIGKILL)
        wait_for("no API", lambda: curl(world.endpoint + "/_zonal/health", seconds=1)[0] == 0)
        assert {curl(url)[0] for _ in range(50)} == {200}
        up_again(world, "19")
        adopted = account.instance(instance)
        assert adopted["State"]["Name"] == "running" and adopted["LaunchTime"] == shown["LaunchTime"]
        answers(url)


ASKS = """#!/bin/sh
mkdir -p /srv/www && cd /srv/www
(while :; do dig +short +time=1 +tries=1 {name} > new; mv new index.html; sleep 0.2; done) >/dev/null 2>&1 </dev/null &
exec setsid python3 -m http.server 80 >/dev/null 2>&1 </dev/null &
"""


def test_a_private_zone_is_seen_inside_its_vpc_and_nowhere_else(real, there):
    vpc, _ = there.default_subnets()
    name = f"www.corp{there.id}.internal."
    (instance,) = there.launch(UserData=ASKS.format(name=name), SecurityGroupIds=[open_group(there, vpc)])
    zone = there.route53.create_hosted_zone(Name=f"corp{there.id}.internal", CallerReference="1", VPC={"VPCRegion": "us-east-1", "VPCId": vpc})
    near = [("192.0.2.1", {"Region": "us-east-1"}), ("192.0.2.2", {"Region": "eu-west-1"})]
    there.route53.change_resource_record_sets(HostedZoneId=zone["HostedZone"]["Id"], ChangeBatch={"Changes": [
        {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": "A", "TTL": 1, "SetIdentifier": value,
                                                   "ResourceRecords": [{"Value": value}], **policy}}
        for value, policy in near]})
    url = f"http://{there.instance(instance)['PublicIpAddress']}/"
    wait_for("what the instance resolves", lambda: curl(url) == (200, "192.0.2.1\n"), 60)
    assert dig(real, name) == []


def test_failover_follows_an_endpoint_that_dies(real, there):
    vpc, _ = there.default_subnets()
    (instance,) = there.launch(UserData=SERVER, SecurityGroupIds=[open_group(there, vpc)])
    address = there.instance(instance)["PublicIpAddress"]
    answers(f"http://{address}/")
    check = there.route53.create_health_check(CallerReference=there.id, HealthCheckConfig={
        "Type": "HTTP_STR_MATCH", "IPAddress": address, "SearchString": "hello from", "RequestInterval": 10, "FailureThreshold": 1})
    check = check["HealthCheck"]["Id"]
    name = f"www.fail{there.id}.example."
    zone = there.route53.create_hosted_zone(Name=f"fail{there.id}.example", CallerReference="1")["HostedZone"]["Id"]
    there.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": "A", "TTL": 1, "SetIdentifier": part, "Failover": part,
                                                   "ResourceRecords": [{"Value": value}], **more}}
        for part, value, more in (("PRIMARY", address, {"HealthCheckId": check}), ("SECONDARY", "192.0.2.9", {}))]})
    resolved = lambda: [value for _, _, value in dig(real, name)]
    status = lambda: [seen["StatusReport"]["Status"] for seen in there.route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]]
    wait_for("a success", lambda: status() == ["Success: HTTP Status Code 200, OK"], 30)
    wait_for("the primary", lambda: resolved() == [address])
    real.run("break", "instance", instance)
    wait_for("the secondary", lambda: resolved() == ["192.0.2.9"], 30)
    there.route53.delete_health_check(HealthCheckId=check)


def test_health_checks_learn_nothing_of_the_host(there):
    unheld = there.ec2.allocate_address()["PublicIp"]
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        for number, where in enumerate(({"FullyQualifiedDomainName": "localhost"}, {"IPAddress": unheld})):
            check = there.route53.create_health_check(CallerReference=f"{there.id}-{number}", HealthCheckConfig={
                "Type": "TCP", "Port": port, "RequestInterval": 10, "FailureThreshold": 1, **where})["HealthCheck"]["Id"]
            seen = wait_for(f"an outcome of {where}", lambda: there.route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"], 30)
            assert seen[0]["StatusReport"]["Status"].startswith("Failure: "), seen
            there.route53.delete_health_check(HealthCheckId=check)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_server_of_both_families_is_found_in_a_wide_range(there):
    vpc, _ = there.default_subnets()
    group = there.ec2.create_security_group(GroupName="wide", Description="wide", VpcId=vpc)["GroupId"]
    there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 1024, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    server = "#!/bin/sh\nmkdir -p /srv/www && cd /srv/www && echo both > index.html\n" \
             "exec setsid python3 -m http.server --bind :: 8080 >/dev/null 2>&1 </dev/null &\n"
    (instance,) = there.launch(UserData=server, SecurityGroupIds=[group])
    assert answers(f"http://{there.instance(instance)['PublicIpAddress']}:8080/") == "both\n"
