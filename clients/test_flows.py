"""Network load balancers: TCP and UDP through them, who targets see, draining, PROXY headers, names and metrics."""

import datetime
import os
import socket
import struct
import urllib.request

import pytest

from conftest import Account, dig, wait_for
from test_linux import a_world

OPEN = [{"IpProtocol": protocol, "FromPort": 7000, "ToPort": 7001, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        for protocol in ("tcp", "udp")]

# Says who it sees, then sends back what it gets; of datagrams, both at once.
ECHO = """#!/bin/sh
cat > /root/echo.py <<'PY'
import socket, threading

def serve(stream, peer):
    try:
        stream.sendall((peer[0] + "\\n").encode())
        while data := stream.recv(4096):
            stream.sendall(data)
    except OSError:
        pass
    stream.close()

def datagrams():
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind(("0.0.0.0", 7001))
    while True:
        data, peer = echo.recvfrom(4096)
        echo.sendto(peer[0].encode() + b" " + data, peer)

threading.Thread(target=datagrams, daemon=True).start()
listener = socket.create_server(("0.0.0.0", 7000), backlog=64)
while True:
    threading.Thread(target=serve, args=listener.accept(), daemon=True).start()
PY
setsid python3 /root/echo.py >/dev/null 2>&1 </dev/null &
"""


def network_balancer(account, subnets, **more):
    made = account.elbv2.create_load_balancer(Name="flows", Type="network", Subnets=subnets, **more)["LoadBalancers"][0]
    account.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[made["LoadBalancerArn"]])
    return account.elbv2.describe_load_balancers(LoadBalancerArns=[made["LoadBalancerArn"]])["LoadBalancers"][0]


def target_group(account, name, vpc, protocol, port, **more):
    asked = {"HealthCheckPort": "7000", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2,
             "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2} | more
    return account.elbv2.create_target_group(
        Name=name, Protocol=protocol, Port=port, VpcId=vpc, **asked)["TargetGroups"][0]["TargetGroupArn"]


def forward(account, balancer, protocol, port, group):
    return account.elbv2.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol=protocol, Port=port,
                                         DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])["Listeners"][0]


def attributes(given):
    return {attribute["Key"]: attribute["Value"] for attribute in given["Attributes"]}


def test_a_network_balancer_has_its_own_names_defaults_and_rules(account, refused):
    vpc, subnets = account.default_subnets()
    eip = account.ec2.allocate_address(Domain="vpc")
    made = account.elbv2.create_load_balancer(
        Name="flows", Type="network",
        SubnetMappings=[{"SubnetId": subnets["us-east-1a"], "AllocationId": eip["AllocationId"]}])["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    account.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn])
    shown = account.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    assert ":loadbalancer/net/flows/" in arn and shown["Type"] == "network" and not shown.get("SecurityGroups")
    assert shown["DNSName"] == f"flows-{arn.rsplit('/', 1)[1]}.elb.us-east-1.amazonaws.com"
    assert shown["CanonicalHostedZoneId"] == "Z26RNL4JYFTOTI"
    (zone,) = shown["AvailabilityZones"]
    assert zone["LoadBalancerAddresses"] == [{"IpAddress": eip["PublicIp"], "AllocationId": eip["AllocationId"]}]
    (node,) = account.ec2.describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {arn.split(':loadbalancer/')[1]}"]}])["NetworkInterfaces"]
    assert node["InterfaceType"] == "network_load_balancer" and node["SourceDestCheck"] is False and not node["Groups"]

    own = attributes(account.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn))
    assert own["load_balancing.cross_zone.enabled"] == "false" and "idle_timeout.timeout_seconds" not in own
    tcp, udp = target_group(account, "t", vpc, "TCP", 7000, TargetType="ip"), target_group(account, "u", vpc, "UDP", 7001)
    of = lambda group: attributes(account.elbv2.describe_target_group_attributes(TargetGroupArn=group))
    assert of(tcp)["preserve_client_ip.enabled"] == "false" and of(udp)["preserve_client_ip.enabled"] == "true"
    assert of(udp)["deregistration_delay.connection_termination.enabled"] == "true"
    with refused("InvalidConfigurationRequest"):
        account.elbv2.modify_target_group_attributes(
            TargetGroupArn=udp, Attributes=[{"Key": "preserve_client_ip.enabled", "Value": "false"}])
    listener = forward(account, shown, "TCP", 80, tcp)
    idle = lambda: attributes(account.elbv2.describe_listener_attributes(ListenerArn=listener["ListenerArn"]))
    assert idle() == {"tcp.idle_timeout.seconds": "350"}
    account.elbv2.modify_listener_attributes(
        ListenerArn=listener["ListenerArn"], Attributes=[{"Key": "tcp.idle_timeout.seconds", "Value": "60"}])
    assert idle() == {"tcp.idle_timeout.seconds": "60"}
    with refused("IncompatibleProtocols"):
        forward(account, shown, "UDP", 81, tcp)
    with refused("ValidationError"):
        forward(account, shown, "HTTP", 81, tcp)
    with refused("InvalidConfigurationRequest"):
        account.elbv2.create_rule(ListenerArn=listener["ListenerArn"], Priority=1, Actions=listener["DefaultActions"],
                                  Conditions=[{"Field": "path-pattern", "Values": ["/x"]}])
    with refused("InvalidConfigurationRequest"):
        group = account.ec2.create_security_group(GroupName="late", Description="late", VpcId=vpc)["GroupId"]
        account.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group])
    account.elbv2.delete_load_balancer(LoadBalancerArn=arn)
    account.elbv2.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn])
    # The address was the user's, and is again.
    wait_for("the address is free", lambda: "AssociationId" not in account.ec2.describe_addresses(
        AllocationIds=[eip["AllocationId"]])["Addresses"][0])
    account.ec2.release_address(AllocationId=eip["AllocationId"])


def test_an_alias_leads_to_a_network_balancer(world, account):
    _, subnets = account.default_subnets()
    balancer = network_balancer(account, [subnets["us-east-1a"], subnets["us-east-1b"]])
    name = f"flows{account.id}.example."
    zone = account.route53.create_hosted_zone(Name=name, CallerReference="1")["HostedZone"]["Id"]
    account.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": "A", "AliasTarget": {
            "HostedZoneId": balancer["CanonicalHostedZoneId"], "DNSName": balancer["DNSName"],
            "EvaluateTargetHealth": False}}}]})
    both = wait_for("both nodes", lambda: len(found := dig(world, name)) == 2 and {value for _, _, value in found})
    assert both == {value for _, _, value in dig(world, balancer["DNSName"] + ".")}
    (one,) = dig(world, f"us-east-1a.{balancer['DNSName']}.")
    assert one[2] in both


TEMPLATE = """
Parameters:
  Vpc: {Type: AWS::EC2::VPC::Id}
  Subnet: {Type: AWS::EC2::Subnet::Id}
Resources:
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Type: network
      Scheme: internal
      SubnetMappings: [{SubnetId: !Ref Subnet}]
      LoadBalancerAttributes: [{Key: load_balancing.cross_zone.enabled, Value: 'true'}]
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      Protocol: TCP_UDP
      Port: 53
      VpcId: !Ref Vpc
      HealthCheckProtocol: TCP
      HealthCheckPort: '53'
      TargetGroupAttributes: [{Key: stickiness.enabled, Value: 'true'}, {Key: stickiness.type, Value: source_ip}]
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Protocol: TCP_UDP
      Port: 53
      DefaultActions: [{Type: forward, TargetGroupArn: !Ref Group}]
Outputs:
  Name: {Value: !GetAtt Balancer.DNSName}
  FullName: {Value: !GetAtt Balancer.LoadBalancerFullName}
"""


def test_a_template_makes_a_network_balancer(account):
    vpc, subnets = account.default_subnets()
    account.cloudformation.create_stack(StackName="flows", TemplateBody=TEMPLATE, Parameters=[
        {"ParameterKey": "Vpc", "ParameterValue": vpc}, {"ParameterKey": "Subnet", "ParameterValue": subnets["us-east-1a"]}])
    account.cloudformation.get_waiter("stack_create_complete").wait(StackName="flows")
    outputs = account.cloudformation.describe_stacks(StackName="flows")["Stacks"][0]["Outputs"]
    values = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    assert values["FullName"].startswith("net/") and values["Name"].endswith(".elb.us-east-1.amazonaws.com")
    account.cloudformation.delete_stack(StackName="flows")
    account.cloudformation.get_waiter("stack_delete_complete").wait(StackName="flows")


@pytest.fixture(scope="module")
def real():
    if os.geteuid() != 0:
        pytest.skip("the real world needs root")
    with a_world("--range", "19") as world:
        yield world


class Echo:
    """A client of the echo server through the balancer."""

    def __init__(self, address, port=70):
        self.stream = socket.create_connection((address, port), 5)
        self.reader = self.stream.makefile("rb")
        self.peer = self.reader.readline().decode().strip()

    def says(self, text):
        self.stream.sendall(text)
        return self.reader.read(len(text)) == text


def attempt(act):
    try:
        return act()
    except (OSError, ValueError):
        return None


def test_flows_reach_targets_in_their_clients_name_and_drain(real):
    there = Account(real)
    vpc, subnets = there.default_subnets()
    group = there.ec2.create_security_group(GroupName="echo", Description="echo", VpcId=vpc)["GroupId"]
    there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=OPEN)
    subnet = subnets["us-east-1a"]
    (instance,) = there.launch(UserData=ECHO, SecurityGroupIds=[group], SubnetId=subnet)
    balancer = network_balancer(there, [subnet])
    tcp = target_group(there, "tcp", vpc, "TCP", 7000)
    udp = target_group(there, "udp", vpc, "UDP", 7001)
    for arn in tcp, udp:
        there.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance}])
    forward(there, balancer, "TCP", 70, tcp)
    forward(there, balancer, "UDP", 71, udp)
    state = lambda arn: there.elbv2.describe_target_health(
        TargetGroupArn=arn)["TargetHealthDescriptions"][0]["TargetHealth"]["State"]
    wait_for("both groups are healthy", lambda: state(tcp) == state(udp) == "healthy", 60)
    ((_, _, address),) = wait_for("its name", lambda: dig(real, balancer["DNSName"] + "."))

    # Who the target sees is the client: this host, as the world knows it.
    host = address.rsplit(".", 2)[0] + ".0.1"
    first = wait_for("an echo", lambda: attempt(lambda: Echo(address)), 30)
    assert first.peer == host and first.says(b"hello")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((address, 71))
        assert wait_for("a datagram back", lambda: attempt(
            lambda: client.send(b"hi") and client.recv(100)), 30) == f"{host} hi".encode()

    # Without, it is the balancer's node.
    set_group = lambda key, value: there.elbv2.modify_target_group_attributes(
        TargetGroupArn=tcp, Attributes=[{"Key": key, "Value": value}])
    set_group("preserve_client_ip.enabled", "false")
    node = there.ec2.describe_network_interfaces(Filters=[
        {"Name": "addresses.association.public-ip", "Values": [address]}])["NetworkInterfaces"][0]["PrivateIpAddress"]
    wait_for("the node", lambda: attempt(lambda: Echo(address).peer) == node)
    set_group("proxy_protocol_v2.enabled", "true")

    def header():
        with socket.create_connection((address, 70), 5) as stream:
            reader = stream.makefile("rb")
            reader.readline()
            stream.sendall(b"x")
            # Before the setting is in force there is no header, and what comes back ends early.
            stream.shutdown(socket.SHUT_WR)
            head = reader.read(29)
            return head if head.startswith(b"\r\n\r\n\0\r\nQUIT\n") else None

    head = wait_for("the header, echoed", header)
    assert head[12:16] == b"\x21\x11\0\x0c" and head[28:] == b"x"
    assert socket.inet_ntoa(head[16:20]) == host and struct.unpack("!H", head[26:28]) == (70,)

    # One that is deregistered keeps what it has and gets nothing new.
    assert first.says(b"still here")
    there.elbv2.deregister_targets(TargetGroupArn=tcp, Targets=[{"Id": instance}])
    assert state(tcp) == "draining"
    wait_for("new flows are reset", lambda: not attempt(lambda: Echo(address).peer))
    assert first.says(b"and still")

    now = datetime.datetime.now(datetime.timezone.utc)
    total = lambda metric: sum(point["Sum"] for point in there.cloudwatch.get_metric_statistics(
        Namespace="AWS/NetworkELB", MetricName=metric, Statistics=["Sum"], Period=60,
        Dimensions=[{"Name": "LoadBalancer", "Value": balancer["LoadBalancerArn"].split(":loadbalancer/")[1]}],
        StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=10))["Datapoints"])
    wait_for("flows are counted", lambda: total("NewFlowCount_TCP") >= 3 and total("NewFlowCount_UDP") >= 1
             and total("ProcessedBytes") > 0 and total("TCP_ELB_Reset_Count") >= 1, 30)


# Says whom a load balancer names as its client.
TELLS = """#!/bin/sh
cat > /root/tells.py <<'PY'
from http.server import BaseHTTPRequestHandler, HTTPServer

class Tells(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers.get("X-Forwarded-For", "nobody").encode())

HTTPServer(("0.0.0.0", 80), Tells).serve_forever()
PY
setsid python3 /root/tells.py >/dev/null 2>&1 </dev/null &
"""


def test_a_network_balancer_before_an_application_balancer_keeps_the_client(real, refused):
    there = Account(real)
    vpc, subnets = there.default_subnets()
    group = there.ec2.create_security_group(GroupName="http", Description="http", VpcId=vpc)["GroupId"]
    there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    zones = [subnets["us-east-1a"], subnets["us-east-1b"]]
    (instance,) = there.launch(UserData=TELLS, SecurityGroupIds=[group], SubnetId=zones[0])
    web = there.elbv2.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc, HealthyThresholdCount=2,
                                          HealthCheckIntervalSeconds=5,
                                          HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
    there.elbv2.register_targets(TargetGroupArn=web, Targets=[{"Id": instance}])
    alb = there.elbv2.create_load_balancer(Name="inner", Subnets=zones, Scheme="internal",
                                           SecurityGroups=[group])["LoadBalancers"][0]["LoadBalancerArn"]
    there.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[alb])
    forward(there, {"LoadBalancerArn": alb}, "HTTP", 80, web)
    between = target_group(there, "between", vpc, "TCP", 80, TargetType="alb", HealthCheckPort="traffic-port")
    there.elbv2.register_targets(TargetGroupArn=between, Targets=[{"Id": alb}])
    outer = network_balancer(there, zones)
    forward(there, outer, "TCP", 80, between)
    found = lambda: there.elbv2.describe_target_health(TargetGroupArn=between)["TargetHealthDescriptions"]
    wait_for("the inner one is healthy", lambda: [
        (one["Target"]["Id"], one["TargetHealth"]["State"]) for one in found()] == [(alb, "healthy")], 90)
    for _, _, address in wait_for("its name", lambda: dig(real, outer["DNSName"] + ".")):
        host = address.rsplit(".", 2)[0] + ".0.1"
        wait_for("the client's own address", lambda: attempt(
            lambda: urllib.request.urlopen(f"http://{address}/", timeout=5).read().decode()) == host, 30)
    with refused("ResourceInUse"):
        there.elbv2.delete_load_balancer(LoadBalancerArn=alb)
