#!/usr/bin/python3
"""cfn-signal, where Amazon Linux has it: tells CloudFormation how the set-up of an instance went (SignalResource).

The flags are those of the CloudFormation helper scripts reference. Signals to wait condition handles are refused: there are none here.
"""

import argparse
import datetime
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

METADATA = "http://169.254.169.254/latest/"
ATTEMPTS = 5


def main():
    arguments = argparse.ArgumentParser(prog="cfn-signal")
    outcome = arguments.add_mutually_exclusive_group()
    outcome.add_argument("-s", "--success", choices=("true", "false"), default="true", help="whether the set-up succeeded")
    outcome.add_argument("-e", "--exit-code", type=int, help="the exit code of the set-up: 0 is success")
    arguments.add_argument("--stack", help="the stack's name or id")
    arguments.add_argument("--resource", help="the logical id of the resource that waits")
    arguments.add_argument("--region", help="default: the instance's own")
    arguments.add_argument("-i", "--id", help="what is signalled for; default: the instance's id")
    arguments.add_argument("--url", help="CloudFormation's endpoint")
    for unused in ("-r", "--reason"), ("-d", "--data"), ("--role",), ("-f", "--credential-file"), ("--access-key",), ("--secret-key",):
        arguments.add_argument(*unused, help=argparse.SUPPRESS)
    arguments.add_argument("handle", nargs="?", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.handle:
        sys.exit("cfn-signal: wait condition handles are not supported: name the resource by --stack and --resource")
    if not given.stack or not given.resource:
        arguments.error("--stack and --resource are needed")
    succeeded = given.exit_code == 0 if given.exit_code is not None else given.success == "true"
    identity = json.loads(metadata("dynamic/instance-identity/document"))
    region = given.region or identity["region"]
    signal(given.url or f"https://cloudformation.{region}.amazonaws.com/", region, identity["accountId"], {
        "Action": "SignalResource", "Version": "2010-05-15", "StackName": given.stack, "LogicalResourceId": given.resource,
        "UniqueId": given.id or identity["instanceId"], "Status": "SUCCESS" if succeeded else "FAILURE",
    })


def metadata(path):
    ask = urllib.request.Request(METADATA + "api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    token = urllib.request.urlopen(ask, timeout=5).read().decode()
    ask = urllib.request.Request(METADATA + path, headers={"X-aws-ec2-metadata-token": token})
    return urllib.request.urlopen(ask, timeout=5).read()


def signal(url, region, account, members):
    """Tries again where nothing answers; what is refused is said."""
    # A key of twelve digits names its account, and is not looked at further.
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
    scope = f"{account}/{day}/{region}/cloudformation/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"}
    ask = urllib.request.Request(url, urllib.parse.urlencode(members).encode(), headers)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            urllib.request.urlopen(ask, timeout=30).read()
            return
        except urllib.error.HTTPError as refusal:
            sys.exit(f"cfn-signal: {refusal.code}: {refusal.read().decode(errors='replace')}")
        except OSError as error:
            if attempt == ATTEMPTS:
                sys.exit(f"cfn-signal: {url} does not answer: {error}")
            time.sleep(attempt)


if __name__ == "__main__":
    main()
