"""Route 53: zones and record sets, and what `dig` gets of them."""

import pytest

from conftest import dig, wait_for


def change(account, zone, *changes):
    done = account.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [
        {"Action": action, "ResourceRecordSet": record} for action, record in changes]})["ChangeInfo"]
    account.route53.get_waiter("resource_record_sets_changed").wait(Id=done["Id"])


def record(name, kind, *values, ttl=300):
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values]}


@pytest.fixture
def zone(account):
    made = account.route53.create_hosted_zone(Name=f"z{account.id}.example", CallerReference="first")
    return made["HostedZone"]["Id"]


def test_a_zone_comes_with_its_servers_and_its_start_of_authority(account, refused):
    route53 = account.route53
    made = route53.create_hosted_zone(Name="Example.COM", CallerReference="first")
    assert made["HostedZone"]["Name"] == "example.com." and made["HostedZone"]["ResourceRecordSetCount"] == 2
    assert len(made["DelegationSet"]["NameServers"]) == 4
    zone = made["HostedZone"]["Id"]
    assert zone.startswith("/hostedzone/Z") and made["ChangeInfo"]["Status"] in ("PENDING", "INSYNC")
    sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [(found["Type"], found["TTL"]) for found in sets] == [("NS", 172800), ("SOA", 900)]
    assert [value["Value"].rstrip(".") for value in sets[0]["ResourceRecords"]] == made["DelegationSet"]["NameServers"]
    with refused("HostedZoneAlreadyExists"):
        route53.create_hosted_zone(Name="example.com", CallerReference="first")
    route53.delete_hosted_zone(Id=zone)
    with refused("NoSuchHostedZone"):
        route53.get_hosted_zone(Id=zone)


def test_a_batch_of_changes_is_made_whole_or_not_at_all(account, zone, refused):
    name = f"www.z{account.id}.example."
    change(account, zone, ("CREATE", record(name, "A", "192.0.2.1")))
    with refused("InvalidChangeBatch") as refusal:
        change(account, zone, ("UPSERT", record(name, "TXT", '"new"')), ("CREATE", record(name, "A", "192.0.2.2")))
    assert name in refusal.message
    sets = account.route53.list_resource_record_sets(HostedZoneId=zone, StartRecordName=name, StartRecordType="A")
    assert [(found["Name"], found["Type"]) for found in sets["ResourceRecordSets"]] == [(name, "A")]
    with refused("HostedZoneNotEmpty"):
        account.route53.delete_hosted_zone(Id=zone)
    with refused("InvalidChangeBatch"):
        change(account, zone, ("DELETE", record(name, "A", "192.0.2.9")))
    change(account, zone, ("DELETE", record(name, "A", "192.0.2.1")))
    account.route53.delete_hosted_zone(Id=zone)


@pytest.mark.parametrize("kind, value", [("A", "not an address"), ("CNAME", "two words"), ("TXT", "unquoted"), ("A", "2001:db8::1")])
def test_a_value_that_is_none_of_its_type_is_refused(account, zone, refused, kind, value):
    with refused("InvalidChangeBatch"):
        change(account, zone, ("CREATE", record(f"x.z{account.id}.example.", kind, value)))


def test_record_sets_are_listed_in_the_order_of_reversed_labels(account, zone):
    names = [f"{label}z{account.id}.example." for label in ("b.", "a.", "c.a.")]
    change(account, zone, *(("CREATE", record(name, "A", "192.0.2.1")) for name in names))
    pages = account.route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone, PaginationConfig={"PageSize": 2})
    listed = [found["Name"] for page in pages for found in page["ResourceRecordSets"] if found["Type"] == "A"]
    assert listed == [names[1], names[2], names[0]]


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_dig_gets_what_a_zone_says(world, account, zone, transport):
    name = f"www.z{account.id}.example."
    both = record(name, "A", "127.107.0.1", "127.107.0.2", ttl=3600)
    change(account, zone, ("CREATE", both))
    found = wait_for("an answer", lambda: dig(world, name, "A", transport))
    assert sorted(found) == [(name, 3600, "127.107.0.1"), (name, 3600, "127.107.0.2")]
    change(account, zone, ("DELETE", both))
    wait_for("no answer any more", lambda: not dig(world, name, "A", transport))


def test_an_answer_is_tested_as_name_servers_give_it(account, zone):
    """TestDNSAnswer, also of what is too much for a datagram."""
    many, one = (f"{label}.z{account.id}.example." for label in ("many", "one"))
    addresses = [f"192.0.2.{last}" for last in range(1, 255)] + [f"198.51.100.{last}" for last in range(1, 100)]
    change(account, zone, ("CREATE", record(many, "A", *addresses)), ("CREATE", record(one, "SPF", '"v=spf1 -all"')))
    said = account.route53.test_dns_answer(HostedZoneId=zone, RecordName=many, RecordType="A")
    assert (sorted(said["RecordData"]), said["Protocol"]) == (sorted(addresses), "TCP")
    said = account.route53.test_dns_answer(HostedZoneId=zone, RecordName=one, RecordType="SPF")
    assert (said["RecordData"], said["Protocol"], said["ResponseCode"]) == (['"v=spf1 -all"'], "UDP", "NOERROR")


def test_an_alias_answers_with_its_balancers_nodes(world, account, zone):
    _, subnets = account.default_subnets()
    balancer = account.elbv2.create_load_balancer(
        Name="front", Subnets=[subnets["us-east-1a"], subnets["us-east-1b"]])["LoadBalancers"][0]
    account.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[balancer["LoadBalancerArn"]])
    name = f"z{account.id}.example."
    change(account, zone, ("CREATE", {"Name": name, "Type": "A", "AliasTarget": {
        "HostedZoneId": balancer["CanonicalHostedZoneId"], "DNSName": balancer["DNSName"], "EvaluateTargetHealth": False}}))
    found = wait_for("both nodes", lambda: len(answers := dig(world, name)) == 2 and answers)
    assert {(shown, ttl) for shown, ttl, _ in found} == {(name, 60)}
    assert all(value.startswith("127.107.") for _, _, value in found)


def test_zones_share_a_delegation_set(account, refused):
    route53 = account.route53
    made = route53.create_reusable_delegation_set(CallerReference="shared")["DelegationSet"]
    zone = route53.create_hosted_zone(Name="shared.example", CallerReference="one", DelegationSetId=made["Id"])
    assert zone["DelegationSet"]["NameServers"] == made["NameServers"]
    with refused("DelegationSetInUse"):
        route53.delete_reusable_delegation_set(Id=made["Id"])
    route53.delete_hosted_zone(Id=zone["HostedZone"]["Id"])
    route53.delete_reusable_delegation_set(Id=made["Id"])
    limit = route53.get_account_limit(Type="MAX_HOSTED_ZONES_BY_OWNER")
    assert (limit["Limit"]["Value"], limit["Count"]) == (500, 0)
