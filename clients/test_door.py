"""The door: who calls, what is unknown, who is turned away."""

import http.client
import json

import boto3
import botocore.config
import pytest

from conftest import REGION


def test_the_access_key_names_the_account(world):
    for account in ("123456789012", "000000000000"):
        identity = world.client("sts", account).get_caller_identity()
        assert identity["Account"] == account
        assert identity["Arn"].startswith(f"arn:aws:iam::{account}:")
    assert world.client("sts", "AKIAIOSFODNN7EXAMPLE").get_caller_identity()["Account"] == "000000000000"


def test_accounts_and_regions_share_nothing(world, account):
    vpc = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ids = lambda client: [vpc["VpcId"] for vpc in client.describe_vpcs()["Vpcs"]]
    assert vpc in ids(account.ec2)
    assert vpc not in ids(world.client("ec2", account.id, "eu-west-1"))
    assert vpc not in ids(world.client("ec2", "999999999999"))


def test_regions_have_their_zones_with_ids(account):
    regions = [region["RegionName"] for region in account.ec2.describe_regions()["Regions"]]
    assert REGION in regions and "eu-west-1" in regions
    zones = account.ec2.describe_availability_zones()["AvailabilityZones"]
    assert {zone["ZoneName"] for zone in zones} >= {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert all(zone["ZoneId"].startswith("use1-az") and zone["State"] == "available" for zone in zones)


def test_what_is_not_implemented_says_so(account, refused):
    with refused("InvalidAction") as refusal:
        account.ec2.create_nat_gateway(SubnetId="subnet-0123456789abcdef0")
    assert refusal.status == 400 and "not implemented by Zonal" in refusal.message


@pytest.mark.parametrize(("service", "call", "code"), [
    ("rds", "describe_db_instances", "InvalidAction"),
    ("lambda", "list_functions", "UnknownOperationException"),
    ("dynamodb", "list_tables", "UnknownOperationException"),
    ("s3", "list_buckets", "NotImplemented"),
])
def test_a_service_that_is_not_here_says_so_in_its_own_protocol(world, account, refused, service, call, code):
    with refused(code) as refusal:
        getattr(world.client(service, account.id), call)()
    assert "not implemented by Zonal" in refusal.message and "COVERAGE.md" in refusal.message


def test_a_region_that_there_is_not_is_refused_by_name(world, account, refused):
    with refused("InvalidParameterValue") as refusal:
        world.client("ec2", account.id, "us-east-9").describe_vpcs()
    assert "us-east-9" in refusal.message and "us-east-2" in refusal.message


def test_keys_that_were_issued_are_verified_and_others_name_an_account(world, account, refused):
    made = account.sts.get_session_token()["Credentials"]

    def client(secret, token):
        return boto3.client(
            "ec2", endpoint_url=world.endpoint, region_name=REGION, aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=secret, aws_session_token=token, config=botocore.config.Config(retries={"max_attempts": 1}))

    vpc = account.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    known = client(made["SecretAccessKey"], made["SessionToken"])
    assert vpc in [vpc["VpcId"] for vpc in known.describe_vpcs()["Vpcs"]], "the key's account"
    with refused("SignatureDoesNotMatch") as refusal:
        client("another", made["SessionToken"]).describe_vpcs()
    assert refusal.status == 403
    with refused("InvalidClientTokenId"):
        client(made["SecretAccessKey"], "another").describe_vpcs()


def test_health_answers_where_existing_scripts_look(world):
    for path in ("/_zonal/health", "/_localstack/health"):
        status, body = world.fetch(path)
        assert status == 200 and isinstance(json.loads(body), dict)


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
])
def test_other_sites_in_a_browser_are_refused(world, headers):
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)
    body = "Action=DescribeVpcs&Version=2016-11-15"
    sent = {"Host": f"localhost:{world.port}", "Content-Type": "application/x-www-form-urlencoded"} | headers
    try:
        connection.putrequest("POST", "/", skip_host=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        assert connection.getresponse().status == 403
    finally:
        connection.close()


@pytest.mark.parametrize("body", [b"", b"Action=", b"Action=Nothing&Version=2016-11-15", b"\xff\xfe\x00", b"Action=DescribeVpcs&VpcId.x=1&" * 50])
def test_nonsense_gets_an_error_and_the_next_call_works(world, account, body):
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        assert 400 <= connection.getresponse().status < 500
    finally:
        connection.close()
    assert account.ec2.describe_vpcs()["Vpcs"]


def test_the_environment_is_what_a_client_needs(world):
    printed = world.run("env").stdout
    assert f"export AWS_ENDPOINT_URL={world.endpoint}" in printed
    assert "AWS_ACCESS_KEY_ID=" in printed and "AWS_DEFAULT_REGION=us-east-1" in printed


def test_status_and_logs_speak_of_instances(world):
    client = world.client("ec2")
    image = world.client("ssm").get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")
    launched = client.run_instances(ImageId=image["Parameter"]["Value"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
    instance = launched["Instances"][0]["InstanceId"]
    client.get_waiter("instance_running").wait(InstanceIds=[instance])
    status = json.loads(world.run("status", "--json").stdout)
    assert [shown["state"] for shown in status["instances"] if shown["id"] == instance] == ["running"]
    assert "virtual" in status["world"]
    assert world.run("logs", instance).returncode == 0
    assert world.run("logs", "i-0123456789abcdef0", check=False).returncode != 0
    client.terminate_instances(InstanceIds=[instance])
