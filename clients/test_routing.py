"""Route 53's routing policies and health checks, as `dig` sees them: chance, health, and where a client is."""

import collections
import contextlib

import pytest

from conftest import dig, wait_for
from test_names import change, record


@pytest.fixture
def zone(account):
    made = account.route53.create_hosted_zone(Name=f"r{account.id}.example", CallerReference="first")
    return made["HostedZone"]["Id"]


def routed(name, identifier, value, **policy):
    return record(name, "A", value) | {"SetIdentifier": identifier} | policy


def values(world, name, *more):
    return sorted(value for _, _, value in dig(world, name, "A", *more))


@pytest.fixture
def served(world, account, zone):
    """Makes record sets of one name and waits until it is answered."""

    def serve(label, *sets):
        name = f"{label}.r{account.id}.example."
        change(account, zone, *(("CREATE", routed(name, str(number), value, **policy)) for number, (value, policy) in enumerate(sets)))
        return name

    return serve


def test_weights_share_the_answers(world, served):
    name = served("w", ("192.0.2.1", {"Weight": 3}), ("192.0.2.2", {"Weight": 1}), ("192.0.2.3", {"Weight": 0}))
    asked = dig(world, name, "A", *([name] * 399))
    counts = collections.Counter(value for _, _, value in asked)
    # Of 400 with a chance of 3 in 4: five standard deviations are 43.
    assert counts["192.0.2.3"] == 0 and 257 <= counts["192.0.2.1"] <= 343, counts


def test_a_multivalue_answer_has_eight_values_of_ten(world, served):
    name = served("m", *((f"192.0.2.{n}", {"MultiValueAnswer": True}) for n in range(10)))
    seen = [tuple(values(world, name)) for _ in range(20)]
    assert {len(answer) for answer in seen} == {8} and len(set(seen)) > 1


def test_a_client_gets_what_is_for_its_part_of_the_world(world, served):
    europe, default = {"GeoLocation": {"ContinentCode": "EU"}}, {"GeoLocation": {"CountryCode": "*"}}
    name = served("g", ("192.0.2.1", europe), ("192.0.2.2", default))
    # 2.0.0.0/8 is RIPE's, 1.0.0.0/8 APNIC's; the host itself is nowhere.
    for subnet, expected in (("2.16.0.0/24", "192.0.2.1"), ("1.1.1.0/24", "192.0.2.2"), ("2a00:1450::/48", "192.0.2.1")):
        assert values(world, name, f"+subnet={subnet}") == [expected], subnet
    assert values(world, name) == ["192.0.2.2"]
    without = served("g2", ("192.0.2.1", europe))
    assert values(world, without) == [] and values(world, without, "+subnet=2.16.0.0/24") == ["192.0.2.1"]


@pytest.mark.parametrize("location, expected", [
    ({"CountryCode": "DE"}, ["192.0.2.1"]), ({"CountryCode": "US", "SubdivisionCode": "CA"}, []), ({"ContinentCode": "EU"}, ["192.0.2.1"])])
def test_countries_are_those_of_the_worlds_own_table(world, served, location, expected):
    name = served("c" + location.get("CountryCode", "x").lower(), ("192.0.2.1", {"GeoLocation": location}))
    assert values(world, name, "+subnet=198.51.100.0/24") == expected


def test_a_client_gets_the_region_that_is_nearest_in_time(world, served):
    name = served("l", ("192.0.2.1", {"Region": "us-east-1"}), ("192.0.2.2", {"Region": "eu-west-1"}),
                  ("192.0.2.3", {"Region": "ap-northeast-1"}))
    for subnet, expected in (("8.8.8.0/24", "192.0.2.1"), ("2.16.0.0/24", "192.0.2.2"), ("1.1.1.0/24", "192.0.2.3")):
        assert values(world, name, f"+subnet={subnet}") == [expected], subnet
    assert values(world, name) == ["192.0.2.1"]


def test_a_bias_bends_distances(world, served):
    def near(latitude, bias):
        return {"GeoProximityLocation": {"Coordinates": {"Latitude": latitude, "Longitude": "12"}, "Bias": bias}}

    plain = served("p", ("192.0.2.1", near("48", 0)), ("192.0.2.2", near("55", 0)))
    bent = served("b", ("192.0.2.1", near("48", 0)), ("192.0.2.2", near("55", 99)))
    assert values(world, plain, "+subnet=2.16.0.0/24") == ["192.0.2.1"]
    assert values(world, bent, "+subnet=2.16.0.0/24") == ["192.0.2.2"]


def test_every_type_is_answered_as_it_was_given(world, account, zone):
    name = f"all.r{account.id}.example."
    given = {
        "AAAA": "2001:db8::1", "CAA": '0 issue "ca.example.net"', "MX": "10 mail.example.net.", "PTR": "host.example.net.",
        "SRV": "1 2 3 host.example.net.", "TXT": '"a b" "c"', "NAPTR": '100 50 "u" "E2U+sip" "!^.*$!sip:x@example.net!" .',
        "SPF": '"v=spf1 -all"', "SSHFP": "4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789",
        "TLSA": "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B9D2ABDE240D7CD3EE6B4B28C54DF034B9",
        "HTTPS": '1 . alpn="h2,h3"', "SVCB": '1 host.example.net. port="8443"',
    }
    change(account, zone, *(("CREATE", record(name, kind, value)) for kind, value in given.items()))
    for kind, value in given.items():
        shown = [text.replace(" ", "") for _, _, text in dig(world, name, {"HTTPS": "TYPE65", "SVCB": "TYPE64"}.get(kind, kind))]
        if kind in ("HTTPS", "SVCB"):
            # Older digs know neither: then the octets, in hexadecimal.
            assert len(shown) == 1 and shown[0], kind
        else:
            assert [text.lower() for text in shown] == [value.replace(" ", "").lower()], kind
    cut = f"cut.r{account.id}.example."
    ds = "12345 13 2 " + "AB" * 32
    change(account, zone, ("CREATE", record(cut, "NS", "ns.example.net.")), ("CREATE", record(cut, "DS", ds)))
    assert [value.replace(" ", "") for _, _, value in dig(world, cut, "DS")] == [ds.replace(" ", "")]


def test_failover_follows_the_health_of_the_primary(world, account, zone):
    route53, name = account.route53, f"f.r{account.id}.example."
    vpc, subnets = account.default_subnets()
    group = account.ec2.create_security_group(GroupName="open", Description="open", VpcId=vpc)["GroupId"]
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    (instance,) = account.launch(SubnetId=subnets["us-east-1a"], SecurityGroupIds=[group])
    account.ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    address = account.instance(instance)["PublicIpAddress"]
    check = route53.create_health_check(CallerReference="primary", HealthCheckConfig={
        "Type": "HTTP", "IPAddress": address, "Port": 80, "ResourcePath": "/", "RequestInterval": 10, "FailureThreshold": 1})
    check = check["HealthCheck"]["Id"]

    def status():
        seen = route53.get_health_check_status(HealthCheckId=check)["HealthCheckObservations"]
        return seen[0]["StatusReport"]["Status"] if seen else ""

    wait_for("a first success", lambda: status().startswith("Success: HTTP Status Code 200"), 60)
    primary = routed(name, "p", address, Failover="PRIMARY", HealthCheckId=check)
    change(account, zone, ("CREATE", primary), ("CREATE", routed(name, "s", "192.0.2.9", Failover="SECONDARY")))
    assert values(world, name) == [address]
    # The address stays, so that it is refused and not lost.
    account.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    wait_for("the secondary", lambda: values(world, name) == ["192.0.2.9"], 60)
    assert status().startswith("Failure: ")
    account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    wait_for("the primary again", lambda: values(world, name) == [address], 60)
    with contextlib.suppress(route53.exceptions.NoSuchHealthCheck):
        route53.delete_health_check(HealthCheckId=check)
