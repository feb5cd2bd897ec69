"""HTTPS: certificates that are imported, the listeners that show them, and clients that check what they are shown."""

import datetime
import json
import os
import subprocess

import pytest

from conftest import Account, dig, wait_for
from test_linux import a_world


def openssl(*arguments, check=True, **more):
    # It prints what the peer sent, which need not be text.
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, errors="replace", timeout=60, **more)
    assert not check or done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


KEYS = {"rsa": ("rsa:2048",), "ecdsa": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")}


class Authority:
    """A certificate authority that only its own clients trust: `certificate` is the file for them."""

    def __init__(self, directory, name):
        self.directory, self.certificate, self.key = directory, str(directory / "ca.pem"), str(directory / "ca.key")
        openssl("req", "-x509", "-newkey", *KEYS["ecdsa"], "-nodes", "-days", "3650", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, kind, *more):
        """A new certificate for these names and its key, as ImportCertificate takes them."""
        names = ",".join(f"DNS:{name}" for name in (name, *more))
        key, request, made = (str(self.directory / f"{name}.{end}") for end in ("key", "csr", "pem"))
        openssl("req", "-newkey", *KEYS[kind], "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", "3650", "-copy_extensions", "copyall", "-out", made)
        read = lambda path: open(path, "rb").read()
        return {"Certificate": read(made), "PrivateKey": read(key), "CertificateChain": read(self.certificate)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "The tests' own authority")


def fixed(status):
    return [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": str(status), "ContentType": "text/plain"}}]


def balancer_of(account, subnets, kind="application", **more):
    made = account.elbv2.create_load_balancer(Name=f"{kind}-tls", Type=kind, Subnets=subnets, **more)["LoadBalancers"][0]
    account.elbv2.get_waiter("load_balancer_available").wait(LoadBalancerArns=[made["LoadBalancerArn"]])
    return made


@pytest.fixture
def front(account):
    """The ARN of an application load balancer in the virtual world."""
    _, subnets = account.default_subnets()
    return balancer_of(account, list(subnets.values())[:2])["LoadBalancerArn"]


def test_a_certificate_is_issued_to_who_shows_by_dns_that_its_name_is_theirs(account, front, refused):
    acm, name = account.acm, f"issued-{account.id}.example"
    zone = account.route53.create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"].rpartition("/")[2]
    arn = acm.request_certificate(DomainName=name, SubjectAlternativeNames=[f"*.{name}"], ValidationMethod="DNS")["CertificateArn"]
    asked = lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert asked()["Status"] == "PENDING_VALIDATION" and asked()["Type"] == "AMAZON_ISSUED"
    listen = lambda: account.elbv2.create_listener(
        LoadBalancerArn=front, Protocol="HTTPS", Port=443, DefaultActions=fixed(200), Certificates=[{"CertificateArn": arn}])
    with refused("UnsupportedCertificate"):
        listen()
    for one in asked()["DomainValidationOptions"]:
        record = one["ResourceRecord"]
        change = {"Action": "UPSERT", "ResourceRecordSet": {
            "Name": record["Name"], "Type": record["Type"], "TTL": 60, "ResourceRecords": [{"Value": record["Value"]}]}}
        account.route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    wait_for("the certificate", lambda: asked()["Status"] == "ISSUED")
    assert {one["ValidationStatus"] for one in asked()["DomainValidationOptions"]} == {"SUCCESS"}
    listen()
    assert asked()["InUseBy"] == [front]


def test_a_template_requests_a_certificate_and_validates_it_in_its_zone(account, front):
    name = f"made-{account.id}.example"
    template = {"Resources": {
        "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": name}},
        "Own": {"Type": "AWS::CertificateManager::Certificate", "Properties": {
            "DomainName": name, "ValidationMethod": "DNS", "SubjectAlternativeNames": [f"*.{name}"],
            "DomainValidationOptions": [{"DomainName": domain, "HostedZoneId": {"Ref": "Zone"}} for domain in (name, f"*.{name}")],
            "Tags": [{"Key": "k", "Value": "a"}]}},
        "Listener": {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": {
            "LoadBalancerArn": front, "Protocol": "HTTPS", "Port": 443, "Certificates": [{"CertificateArn": {"Ref": "Own"}}],
            "DefaultActions": fixed(200)}}}}
    account.cloudformation.create_stack(StackName="certified", TemplateBody=json.dumps(template))
    account.cloudformation.get_waiter("stack_create_complete").wait(StackName="certified", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    arn = account.elbv2.describe_listeners(LoadBalancerArn=front)["Listeners"][0]["Certificates"][0]["CertificateArn"]
    assert account.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"
    tags = account.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
    assert [tag for tag in tags if not tag["Key"].startswith("aws:")] == [{"Key": "k", "Value": "a"}]


def test_a_listener_shows_its_certificates(account, authority, front):
    elb, acm = account.elbv2, account.acm
    one = acm.import_certificate(**authority.issue("one.example", "rsa"))["CertificateArn"]
    two = acm.import_certificate(**authority.issue("two.example", "ecdsa"))["CertificateArn"]
    listener = elb.create_listener(LoadBalancerArn=front, Protocol="HTTPS", Port=443, DefaultActions=fixed(200),
                                   Certificates=[{"CertificateArn": one}])["Listeners"][0]
    assert listener["SslPolicy"] == "ELBSecurityPolicy-2016-08" and listener["Certificates"] == [{"CertificateArn": one}]
    arn = listener["ListenerArn"]
    added = elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": two}])["Certificates"]
    assert added == [{"CertificateArn": two, "IsDefault": False}]
    shown = lambda: elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]
    assert shown() == [{"CertificateArn": one, "IsDefault": True}, {"CertificateArn": two, "IsDefault": False}]
    assert elb.describe_listeners(ListenerArns=[arn])["Listeners"][0]["Certificates"] == [{"CertificateArn": one}]
    users = lambda certificate: acm.describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"]
    assert users(one) == users(two) == [front]

    changed = elb.modify_listener(ListenerArn=arn, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")["Listeners"][0]
    assert changed["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06" and changed["Certificates"] == [{"CertificateArn": one}]
    elb.remove_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": two}])
    assert shown() == [{"CertificateArn": one, "IsDefault": True}] and users(two) == []
    elb.delete_load_balancer(LoadBalancerArn=front)
    assert users(one) == []


LISTENER = """
Parameters: {Balancer: {Type: String}, One: {Type: String}, Two: {Type: String}}
Resources:
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Protocol: HTTPS
      Port: 443
      SslPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06
      Certificates: [{CertificateArn: !Ref One}]
      DefaultActions: [{Type: fixed-response, FixedResponseConfig: {StatusCode: '200'}}]
  More:
    Type: AWS::ElasticLoadBalancingV2::ListenerCertificate
    Properties: {ListenerArn: !Ref Listener, Certificates: [{CertificateArn: !Ref Two}]}
Outputs: {Listener: {Value: !GetAtt Listener.ListenerArn}}
"""


def test_a_template_gives_a_listener_its_certificates(account, authority, front):
    one = account.acm.import_certificate(**authority.issue("first.example", "rsa"))["CertificateArn"]
    two = account.acm.import_certificate(**authority.issue("second.example", "ecdsa"))["CertificateArn"]
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in (("Balancer", front), ("One", one), ("Two", two))]
    made = account.cloudformation.create_stack(StackName="tls", TemplateBody=LISTENER, Parameters=given)["StackId"]
    account.cloudformation.get_waiter("stack_create_complete").wait(StackName="tls")
    (stack,) = account.cloudformation.describe_stacks(StackName="tls")["Stacks"]
    listener = stack["Outputs"][0]["OutputValue"]
    shown = account.elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert shown == [{"CertificateArn": one, "IsDefault": True}, {"CertificateArn": two, "IsDefault": False}]
    without = LISTENER[:LISTENER.index("  More:")] + LISTENER[LISTENER.index("Outputs:"):]
    account.cloudformation.update_stack(StackName="tls", TemplateBody=without, Parameters=given)
    account.cloudformation.get_waiter("stack_update_complete").wait(StackName="tls")
    shown = account.elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert [certificate["CertificateArn"] for certificate in shown] == [one]
    account.cloudformation.delete_stack(StackName="tls")
    account.cloudformation.get_waiter("stack_delete_complete").wait(StackName=made)
    assert account.elbv2.describe_listeners(LoadBalancerArn=front)["Listeners"] == []


def test_a_certificate_that_is_shown_stays(account, authority, front, refused):
    elb, acm = account.elbv2, account.acm
    one, two, three = (acm.import_certificate(**authority.issue(name, "ecdsa"))["CertificateArn"]
                       for name in ("one.example", "two.example", "three.example"))
    listener = elb.create_listener(LoadBalancerArn=front, Protocol="HTTPS", Port=443, DefaultActions=fixed(200),
                                   Certificates=[{"CertificateArn": one}])["Listeners"][0]["ListenerArn"]
    elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": two}])
    for used in one, two:
        with refused("ResourceInUseException"):
            acm.delete_certificate(CertificateArn=used)
    with refused("OperationNotPermitted"):
        elb.remove_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": one}])
    elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": three}])
    acm.delete_certificate(CertificateArn=one)
    elb.delete_listener(ListenerArn=listener)
    for unused in two, three:
        acm.delete_certificate(CertificateArn=unused)
    with refused("ResourceNotFoundException"):
        acm.describe_certificate(CertificateArn=one)


def test_a_listener_without_a_certificate_or_with_a_wrong_one_is_refused(account, authority, front, refused):
    elb = account.elbv2
    one = account.acm.import_certificate(**authority.issue("one.example", "rsa"))["CertificateArn"]
    listen = lambda protocol="HTTPS", **more: elb.create_listener(
        LoadBalancerArn=front, Protocol=protocol, Port=443, DefaultActions=fixed(200), **more)
    with refused("ValidationError"):
        listen()
    with refused("CertificateNotFound"):
        listen(Certificates=[{"CertificateArn": one[:-12] + "0" * 12}])
    with refused("SSLPolicyNotFound"):
        listen(Certificates=[{"CertificateArn": one}], SslPolicy="ELBSecurityPolicy-1999-01")
    with refused("ValidationError"):
        listen("HTTP", Certificates=[{"CertificateArn": one}])
    with refused("ValidationError"):
        listen("TLS", Certificates=[{"CertificateArn": one}])
    listener = listen(Certificates=[{"CertificateArn": one}])["Listeners"][0]["ListenerArn"]
    with refused("CertificateNotFound"):
        elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": one[:-12] + "0" * 12}])
    with refused("ListenerNotFound"):
        elb.describe_listener_certificates(ListenerArn=listener[:-16] + "0" * 16)


def test_what_does_not_belong_together_is_not_imported(account, authority, refused):
    acm, one, other = account.acm, authority.issue("one.example", "rsa"), authority.issue("two.example", "ecdsa")
    for wrong in ({"PrivateKey": other["PrivateKey"]}, {"CertificateChain": other["Certificate"]},
                  {"Certificate": b"no certificate"}, {"PrivateKey": b"no key"}):
        with refused("ValidationException"):
            acm.import_certificate(**one | wrong)
    arn = acm.import_certificate(**one)["CertificateArn"]
    detail = lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"]
    before = detail()
    assert (before["DomainName"], before["Type"], before["Status"]) == ("one.example", "IMPORTED", "ISSUED")
    assert (before["KeyAlgorithm"], before["SignatureAlgorithm"]) == ("RSA_2048", "SHA256WITHECDSA")

    # What takes its place has a key of the same kind and one of its names at least.
    for name, kind in ("one.example", "ecdsa"), ("two.example", "rsa"):
        with refused("ValidationException"):
            acm.import_certificate(CertificateArn=arn, **authority.issue(name, kind))
    assert detail() == before
    more = authority.issue("www.one.example", "rsa", "one.example")
    assert acm.import_certificate(CertificateArn=arn, **more)["CertificateArn"] == arn
    assert detail()["SubjectAlternativeNames"] == ["www.one.example", "one.example"] and detail()["Serial"] != before["Serial"]


def test_each_policy_that_is_listed_can_be_had(account, authority, front):
    elb = account.elbv2
    one = account.acm.import_certificate(**authority.issue("one.example", "ecdsa"))["CertificateArn"]
    listener = elb.create_listener(LoadBalancerArn=front, Protocol="HTTPS", Port=443, DefaultActions=fixed(200),
                                   Certificates=[{"CertificateArn": one}])["Listeners"][0]["ListenerArn"]
    names = [policy["Name"] for policy in elb.describe_ssl_policies()["SslPolicies"]]
    assert "ELBSecurityPolicy-TLS13-1-2-Res-2021-06" in names and "ELBSecurityPolicy-2016-08" in names
    for name in names:
        assert elb.modify_listener(ListenerArn=listener, SslPolicy=name)["Listeners"][0]["SslPolicy"] == name


# Tells what it was asked, over HTTP on port 80 and HTTPS on port 443.
TARGET = """#!/bin/sh
cat > /root/target.pem <<'PEM'
{pem}PEM
cat > /root/target.py <<'PY'
import http.server, json, ssl, threading

class Teller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        headers = dict((name.lower(), value) for name, value in self.headers.items())
        body = json.dumps(dict(port=self.server.server_port, path=self.path, headers=headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/target.pem")
secure = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Teller)
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=secure.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("0.0.0.0", 80), Teller).serve_forever()
PY
setsid python3 /root/target.py >/dev/null 2>&1 </dev/null &
"""


class Site:
    """An application and a network load balancer in the real world, before one instance that speaks HTTP and HTTPS."""

    def __init__(self, world, authority):
        self.world, self.authority, self.there = world, authority, Account(world)
        there = self.there
        self.vpc, subnets = there.default_subnets()
        group = there.ec2.create_security_group(GroupName="open", Description="open", VpcId=self.vpc)["GroupId"]
        there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        own = authority.issue("target.example", "ecdsa")
        pem = (own["Certificate"] + own["PrivateKey"]).decode()
        two = [subnets["us-east-1a"], subnets["us-east-1b"]]
        (self.instance,) = there.launch(UserData=TARGET.replace("{pem}", pem), SecurityGroupIds=[group], SubnetId=two[0])
        self.application = balancer_of(there, two, SecurityGroups=[group])
        self.network = balancer_of(there, two[:1], "network")
        self.one, self.two = (self.import_one(name, kind) for name, kind in (("one.example", "rsa"), ("two.example", "ecdsa")))

    def import_one(self, name, kind, **more):
        return self.there.acm.import_certificate(**self.authority.issue(name, kind), **more)["CertificateArn"]

    def group(self, name, protocol, port, **more):
        """A target group whose only target is healthy once a listener forwards to it."""
        made = self.there.elbv2.create_target_group(
            Name=name, Protocol=protocol, Port=port, VpcId=self.vpc, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2, **more)["TargetGroups"][0]["TargetGroupArn"]
        self.there.elbv2.register_targets(TargetGroupArn=made, Targets=[{"Id": self.instance}])
        return made

    def listen(self, balancer, protocol, port, action, **more):
        action = action if isinstance(action, list) else [{"Type": "forward", "TargetGroupArn": action}]
        return self.there.elbv2.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol=protocol, Port=port,
                                                DefaultActions=action, **more)["Listeners"][0]["ListenerArn"]

    def encrypted(self, balancer, protocol, port, action, **more):
        """A listener that shows both certificates, `one` by default."""
        made = self.listen(balancer, protocol, port, action, Certificates=[{"CertificateArn": self.one}], **more)
        self.there.elbv2.add_listener_certificates(ListenerArn=made, Certificates=[{"CertificateArn": self.two}])
        return made

    def healthy(self, group):
        found = lambda: self.there.elbv2.describe_target_health(
            TargetGroupArn=group)["TargetHealthDescriptions"][0]["TargetHealth"]["State"]
        wait_for("a healthy target", lambda: found() == "healthy", 90)

    def address(self, balancer):
        """The public address of one of its nodes."""
        return wait_for("its name", lambda: dig(self.world, balancer["DNSName"] + "."))[0][2]

    def curl(self, balancer, url, *more):
        """(status, HTTP version, body) of an answer whose certificate was checked; the complaint if there is none."""
        name, _, port = url.split("/")[2].partition(":")
        ports = {port or {"https": "443", "http": "80"}[url.split(":")[0]], "443", "80"}
        where = [word for port in sorted(ports) for word in ("--resolve", f"{name}:{port}:{self.address(balancer)}")]
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "5", "--cacert", self.authority.certificate,
             "--write-out", "\n%{http_code} %{http_version} %{redirect_url}", *where, *more, url],
            capture_output=True, text=True, timeout=15)
        body, _, facts = done.stdout.rpartition("\n")
        status, version, redirect = facts.split(" ", 2)
        return (int(status), version, redirect or body) if done.returncode == 0 else (0, "", done.stderr.strip())

    def shown(self, balancer, port, *more):
        """What the TLS handshake says: subject, serial number and all that s_client tells."""
        told = openssl("s_client", "-connect", f"{self.address(balancer)}:{port}", "-CAfile", self.authority.certificate, *more,
                       check=False, input="")
        if "BEGIN CERTIFICATE" not in told:
            return None, None, told
        subject, serial = openssl("x509", "-noout", "-subject", "-serial", input=told).splitlines()
        return subject.partition("CN")[2].strip(" ="), serial.partition("=")[2].lower(), told

    def total(self, balancer, namespace, metric):
        now = datetime.datetime.now(datetime.timezone.utc)
        return sum(point["Sum"] for point in self.there.cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=metric, Statistics=["Sum"], Period=60,
            Dimensions=[{"Name": "LoadBalancer", "Value": balancer["LoadBalancerArn"].split(":loadbalancer/")[1]}],
            StartTime=now - datetime.timedelta(minutes=10), EndTime=now + datetime.timedelta(minutes=10))["Datapoints"])


@pytest.fixture(scope="module")
def site(authority):
    if os.geteuid() != 0:
        pytest.skip("the real world needs root")
    with a_world("--range", "22") as world:
        yield Site(world, authority)


@pytest.fixture(scope="module")
def https(site):
    """The HTTPS listener on port 443, before the target's HTTP; port 80 redirects to it."""
    group = site.group("plain", "HTTP", 80)
    listener = site.encrypted(site.application, "HTTPS", 443, group, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    site.listen(site.application, "HTTP", 80, [{"Type": "redirect", "RedirectConfig": {
        "Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}])
    site.healthy(group)
    wait_for("the first answer", lambda: site.curl(site.application, "https://one.example/")[0] == 200, 60)
    return listener


def test_https_is_answered_by_http_2_and_by_http_1_1(site, https):
    for asked, version in ("--http2", "2"), ("--http1.1", "1.1"):
        for name in "one.example", "two.example":
            status, spoken, body = site.curl(site.application, f"https://{name}/a?b=c", asked)
            assert (status, spoken) == (200, version), body
            told = json.loads(body)
            assert (told["port"], told["path"], told["headers"]["host"]) == (80, "/a?b=c", name)
            assert (told["headers"]["x-forwarded-proto"], told["headers"]["x-forwarded-port"]) == ("https", "443")
    assert site.curl(site.application, "https://three.example/")[0] == 0, "no certificate is for that name"


def test_plain_http_is_sent_to_https(site, https):
    status, _, location = site.curl(site.application, "http://one.example/a?b=c")
    assert (status, location) == (301, "https://one.example:443/a?b=c")
    status, _, body = site.curl(site.application, "http://one.example/a?b=c", "--location")
    assert status == 200 and json.loads(body)["headers"]["x-forwarded-proto"] == "https"


def test_a_clients_name_chooses_the_certificate(site, https):
    chosen = lambda *more: site.shown(site.application, 443, *more)[0]
    assert chosen("-servername", "one.example") == "one.example"
    assert chosen("-servername", "two.example") == "two.example"
    assert chosen("-servername", "three.example") == "one.example", "the default one"
    assert chosen("-noservername") == "one.example"
    _, _, told = site.shown(site.application, 443, "-servername", "two.example", "-alpn", "h2,http/1.1", "-verify_hostname", "two.example")
    assert "ALPN protocol: h2" in told and "Verify return code: 0 (ok)" in told and "TLSv1.3" in told


def test_a_reimported_certificate_is_shown_in_place_of_the_old_one(site, https):
    serial = lambda: site.shown(site.application, 443, "-servername", "two.example")[1]
    before = serial()
    site.import_one("two.example", "ecdsa", CertificateArn=site.two)
    detail = site.there.acm.describe_certificate(CertificateArn=site.two)["Certificate"]
    after = wait_for("another serial number", lambda: (now := serial()) != before and now, 30)
    assert after == detail["Serial"].replace(":", "") and detail["KeyAlgorithm"] == "EC_prime256v1"
    assert site.curl(site.application, "https://two.example/")[0] == 200


def test_a_policy_says_which_protocols_are_spoken_and_failures_are_counted(site, https):
    spoken = lambda option: site.shown(site.application, 443, option)[0] is not None
    policy = lambda name: site.there.elbv2.modify_listener(ListenerArn=https, SslPolicy=name)
    assert spoken("-tls1_2") and spoken("-tls1_3")
    policy("ELBSecurityPolicy-TLS13-1-3-2021-06")
    wait_for("TLS 1.2 is refused", lambda: not spoken("-tls1_2"), 30)
    assert spoken("-tls1_3")
    policy("ELBSecurityPolicy-2016-08")
    wait_for("TLS 1.2 is spoken", lambda: spoken("-tls1_2"), 30)
    assert not spoken("-tls1_3")
    policy("ELBSecurityPolicy-TLS13-1-2-2021-06")
    wait_for("they are counted", lambda: site.total(
        site.application, "AWS/ApplicationELB", "ClientTLSNegotiationErrorCount") >= 2, 90)


def test_targets_are_spoken_to_by_https(site, https):
    group = site.group("secure", "HTTPS", 443, HealthCheckProtocol="HTTPS")
    site.listen(site.application, "HTTPS", 8443, group, Certificates=[{"CertificateArn": site.one}])
    site.healthy(group)
    answer = lambda: site.curl(site.application, "https://one.example:8443/")
    status, _, body = wait_for("an answer", lambda: (found := answer())[0] == 200 and found, 60)
    told = json.loads(body)
    assert (told["port"], told["headers"]["x-forwarded-port"]) == (443, "8443")

    # One that does not speak TLS cannot be had, and that is counted.
    wrong = site.group("wrong", "HTTPS", 80, HealthCheckProtocol="HTTP")
    site.listen(site.application, "HTTPS", 8444, wrong, Certificates=[{"CertificateArn": site.one}])
    site.healthy(wrong)
    answer = lambda: site.curl(site.application, "https://one.example:8444/")
    wait_for("502", lambda: answer()[0] == 502, 60)
    wait_for("it is counted", lambda: site.total(
        site.application, "AWS/ApplicationELB", "TargetTLSNegotiationErrorCount") >= 1, 90)


def test_http_on_an_https_port_is_told_so(site, https):
    status, version, page = site.curl(site.application, "http://one.example:443/")
    assert (status, version) == (400, "1.1") and "The plain HTTP request was sent to HTTPS port" in page


def test_grpc_requests_are_counted_and_fail_as_http(site, https):
    group = site.group("calls", "HTTP", 80, ProtocolVersion="GRPC")
    site.encrypted(site.application, "HTTPS", 8445, group)
    call = lambda *more: site.curl(site.application, "https://one.example:8445/pkg.Service/Method", "--http2",
                                   "--header", "content-type: application/grpc", *more)
    # The target speaks HTTP/1.1: a gateway's error, as a page.
    status, version, page = wait_for("502", lambda: (found := call("--data", "x"))[0] == 502 and found, 60)
    assert version == "2" and "<h1>502 Bad Gateway</h1>" in page
    assert call()[0] == 464, "gRPC is POST"
    wait_for("calls are counted", lambda: site.total(site.application, "AWS/ApplicationELB", "GrpcRequestCount") >= 1, 90)


def test_a_network_balancer_ends_tls_and_speaks_it_anew(site):
    plain, secure = site.group("flows", "TCP", 80), site.group("flows-tls", "TLS", 443)
    listener = site.encrypted(site.network, "TLS", 443, plain, AlpnPolicy=["HTTP1Only"])
    site.encrypted(site.network, "TLS", 8443, secure)
    site.healthy(plain)
    site.healthy(secure)
    for port, own in ("443", 80), ("8443", 443):
        for name in "one.example", "two.example":
            answer = lambda: site.curl(site.network, f"https://{name}:{port}/")
            _, _, body = wait_for("an answer", lambda: (found := answer())[0] == 200 and found, 60)
            assert json.loads(body)["port"] == own
    assert site.shown(site.network, 443, "-servername", "two.example")[0] == "two.example"
    assert site.shown(site.network, 443, "-noservername")[0] == "one.example"
    alpn = lambda port: site.shown(site.network, port, "-alpn", "h2,http/1.1")[2]
    assert "ALPN protocol: http/1.1" in alpn(443) and "No ALPN negotiated" in alpn(8443)
    shown = site.there.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]
    assert shown["AlpnPolicy"] == ["HTTP1Only"] and shown["Certificates"] == [{"CertificateArn": site.one}]
    wait_for("flows are counted", lambda: site.total(site.network, "AWS/NetworkELB", "NewFlowCount_TLS") >= 4, 90)


def test_what_a_listener_lets_go_of_can_be_deleted(site, https, refused):
    with refused("ResourceInUseException"):
        site.there.acm.delete_certificate(CertificateArn=site.one)
    three = site.import_one("three.example", "ecdsa")
    site.there.elbv2.add_listener_certificates(ListenerArn=https, Certificates=[{"CertificateArn": three}])
    chosen = lambda: site.shown(site.application, 443, "-servername", "three.example")[0]
    wait_for("the third name's certificate", lambda: chosen() == "three.example", 30)
    site.there.elbv2.remove_listener_certificates(ListenerArn=https, Certificates=[{"CertificateArn": three}])
    wait_for("the default one", lambda: chosen() == "one.example", 30)
    site.there.acm.delete_certificate(CertificateArn=three)
