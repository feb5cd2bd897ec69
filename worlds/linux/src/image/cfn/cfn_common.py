"""What the helper scripts share: the instance's metadata, CloudFormation's API as an instance calls it, and their common flags."""

import argparse
import base64
import datetime
import json
import logging
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

METADATA = "http://169.254.169.254/latest/"
ATTEMPTS = 5


class Failure(Exception):
    """What a script ends with: said on standard error, exit code 1."""


def flags(name, *more):
    """A parser with the flags that all scripts have. Keys, roles and proxies are taken and change nothing: an instance is known by its account."""
    arguments = argparse.ArgumentParser(prog=name)
    arguments.add_argument("-s", "--stack", help="the stack's name or id")
    arguments.add_argument("-r", "--resource", help="the logical id of the resource whose metadata is meant")
    arguments.add_argument("--region", help="default: the instance's own")
    arguments.add_argument("--url", "-u", help="CloudFormation's endpoint")
    arguments.add_argument("-v", "--verbose", action="store_true", help="more in the log")
    for unused in ("--role",), ("-f", "--credential-file"), ("--access-key",), ("--secret-key",), ("--http-proxy",), ("--https-proxy",), *more:
        arguments.add_argument(*unused, help=argparse.SUPPRESS)
    return arguments


def log_to(path, verbose=False):
    """Sends what is logged to a file, as the scripts do on Amazon Linux."""
    level = logging.DEBUG if verbose else logging.INFO
    try:
        logging.basicConfig(filename=path, level=level, format="%(asctime)s [%(levelname)s] %(message)s")
    except OSError:
        # Somebody else than root, say: it is said, then.
        logging.basicConfig(stream=sys.stderr, level=level, format="%(message)s")


def metadata(path):
    """Something of the instance's own metadata."""
    ask = urllib.request.Request(METADATA + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    token = urllib.request.urlopen(ask, timeout=5).read().decode()
    ask = urllib.request.Request(METADATA + path, headers={"X-aws-ec2-metadata-token": token})
    return urllib.request.urlopen(ask, timeout=5).read()


def identity():
    """The instance's identity document: its id, account and region."""
    return json.loads(metadata("dynamic/instance-identity/document"))


def call(operation, members, region=None, url=None):
    """Calls an operation of CloudFormation's; its answer as XML. Tries again where nothing answers; what is refused is a Failure."""
    own = identity()
    region = region or own["region"]
    url = url or f"https://cloudformation.{region}.amazonaws.com/"
    # A key of twelve digits names its account, and is not looked at further.
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
    scope = f"{own['accountId']}/{day}/{region}/cloudformation/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"}
    form = {"Action": operation, "Version": "2010-05-15", **members}
    return request(urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers))


def request(ask, timeout=30):
    """What a request is answered with."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return urllib.request.urlopen(ask, timeout=timeout).read()
        except urllib.error.HTTPError as refusal:
            raise Failure(f"{refusal.code}: {refusal.read().decode(errors='replace')}") from refusal
        except OSError as error:
            if attempt == ATTEMPTS:
                raise Failure(f"{ask.full_url} does not answer: {error}") from error
            time.sleep(attempt)


def resource(stack, logical_id, region=None, url=None):
    """A resource's detail (DescribeStackResource): its metadata, which is an object, and its physical id."""
    answer = call("DescribeStackResource", {"StackName": stack, "LogicalResourceId": logical_id}, region, url)
    found = {element.tag.rsplit("}", 1)[-1]: element.text for element in xml.etree.ElementTree.fromstring(answer).iter()}
    return {"Metadata": json.loads(found.get("Metadata") or "{}"), "PhysicalResourceId": found.get("PhysicalResourceId")}


def download(url, authentication=None):
    """What a URL has. `authentication` is the metadata's AWS::CloudFormation::Authentication and the name in it that is asked for."""
    ask = urllib.request.Request(url)
    for name, kept in (authentication or ({}, None))[0].items():
        named = name == authentication[1]
        if not named and not any(url.startswith(uri) for uri in kept.get("uris", [])):
            continue
        if kept.get("type", "").lower() != "basic":
            raise Failure(f"Authentication {name} is of type {kept.get('type')}: only basic is possible here, there is no S3")
        word = base64.b64encode(f"{kept.get('username', '')}:{kept.get('password', '')}".encode()).decode()
        ask.add_header("Authorization", f"Basic {word}")
        break
    try:
        return request(ask, timeout=60)
    except Failure as failure:
        raise Failure(f"Failed to retrieve {url}: {failure}") from failure


def run(main):
    """Runs a script's main function; what it fails with is said."""
    try:
        main()
    except Failure as failure:
        logging.error("%s", failure)
        sys.exit(f"Error: {failure}")
