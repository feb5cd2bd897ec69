"""End-to-end tests: clients that nobody here wrote (boto3, the aws CLI, curl) against a world of the tests' own.

One virtual world serves all tests but those of test_linux.py. Each test has an account of its own, so that none sees another's
things. Run by `make test`; by hand: `ZONAL=target/debug/zonal .venv/bin/pytest clients`.
"""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
REGION = "us-east-1"
AL2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
BIN = pathlib.Path(sys.executable).parent


def program():
    named = os.environ.get("ZONAL")
    candidates = [pathlib.Path(named)] if named else [ROOT / "target/debug/zonal", ROOT / "target/release/zonal"]
    found = next((path for path in candidates if path.exists()), None)
    assert found, f"no program at {candidates}: cargo build -p zonal"
    return str(found.resolve())


def free_port():
    """A port that is free for TCP and UDP now. Another may take it before we do; then the world says so and the run fails."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, condition, seconds=30, pause=0.02):
    """The first true value of `condition()`. At the deadline the test fails with the last value."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        last = condition()
        if last:
            return last
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds} s; the last was {last!r}")


class World:
    """A running `zonal up`, ended with all that belongs to it."""

    def __init__(self, home, *arguments, identity=None, program=program):
        """`identity` is what subprocess takes to run as somebody else, `program` what they can run."""
        self.identity, self.program = identity or {}, program() if callable(program) else program
        self.home, self.port, self.dns_port = str(home), free_port(), free_port()
        self.endpoint = f"http://localhost:{self.port}"
        self.log = open(f"{home}.log", "w+")
        self.process = subprocess.Popen(
            [self.program, "up", "--home", self.home, "--port", str(self.port), "--dns-port", str(self.dns_port), *arguments],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True, **self.identity,
        )
        try:
            wait_for("the world's first answer", self.answers, 120)
        except BaseException:
            self.end()
            raise

    def answers(self):
        if self.process.poll():
            self.log.seek(0)
            raise AssertionError(f"zonal up ended with {self.process.returncode}: {self.log.read()}")
        try:
            return self.fetch("/_zonal/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def fetch(self, path, body=None, headers=None, method=None):
        request = urllib.request.Request(self.endpoint + path, data=body, headers=headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()

    def run(self, *arguments, check=True):
        """A `zonal` command about this world."""
        return self.run_with(arguments, check=check)

    def run_with(self, command, *more, check=True):
        """The same, with words that go behind where the world is."""
        words = [self.program, *command, "--home", self.home, *more]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **self.identity)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def client(self, service, account="000000000000", region=REGION, **config):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key="test",
            config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=60, **config),
        )

    def environment(self, account):
        """What an aws CLI needs. No profile and no proxy of the machine's gets in."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_") and not key.lower().endswith("_proxy")}
        return kept | {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": account, "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION, "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "PATH": f"{BIN}:{os.environ['PATH']}",
        }

    def end(self):
        subprocess.run([self.program, "down", "--purge", "--home", self.home], capture_output=True, timeout=60, check=False,
                       **self.identity)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    continue
        self.log.close()


def dig(world, name, kind="A", *more):
    """What the world's DNS answers the host: (name, TTL, value) for each record."""
    done = subprocess.run(
        ["dig", "@127.0.0.1", "-p", str(world.dns_port), "+time=2", "+tries=1", "+noall", "+answer", *more, name, kind],
        capture_output=True, text=True, timeout=20)
    lines = [line.split(None, 4) for line in done.stdout.splitlines() if line and not line.startswith(";")]
    return [(name, int(ttl), value) for name, ttl, _, _, value in lines]


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    home = tmp_path_factory.mktemp("sim") / "home"
    home.mkdir()
    # Where clients are, beside what the registries say: for routing by country.
    (home / "places.json").write_text(json.dumps([
        {"prefix": "198.51.100.0/24", "continent": "EU", "country": "DE", "point": {"latitude": 5252, "longitude": 1340}}]))
    world = World(home, "--world", "sim", "--ephemeral", "--range", "7", "--seed", "1",
                  "--speed", "30")
    yield world
    world.end()


ACCOUNTS = itertools.count(100000000001)


class Account:
    """An account of one test's own: `account.ec2` is its boto3 client of EC2, `account.aws(…)` its aws CLI."""

    def __init__(self, world):
        self.world, self.id = world, str(next(ACCOUNTS))

    def __getattr__(self, service):
        client = self.world.client(service, self.id)
        setattr(self, service, client)
        return client

    def aws(self, *arguments, check=True):
        done = subprocess.run(["aws", *arguments], env=self.world.environment(self.id), capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"aws {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def json(self, *arguments):
        return json.loads(self.aws(*arguments, "--output", "json").stdout)

    def image(self):
        return self.ssm.get_parameter(Name=AL2023)["Parameter"]["Value"]

    def default_subnets(self):
        """The default VPC's id, and its subnets by zone."""
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        return subnets[0]["VpcId"], {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in subnets}

    def launch(self, count=1, **more):
        """Instances that run."""
        asked = {"ImageId": self.image(), "InstanceType": "t3.micro"} | more
        ids = [instance["InstanceId"] for instance in
               self.ec2.run_instances(MinCount=count, MaxCount=count, **asked)["Instances"]]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=ids)
        return ids

    def instance(self, identifier):
        return self.ec2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]


@pytest.fixture
def account(world):
    return Account(world)


class Refusal:
    """Expects an error of AWS's; `code`, `status` and `message` tell which it was."""

    def __init__(self, code):
        self.code = code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert error is not None, f"expected {self.code}, but the call succeeded"
        if not isinstance(error, botocore.exceptions.ClientError):
            return False
        found = error.response["Error"]["Code"]
        assert found == self.code, f"expected {self.code}: {error}"
        self.message = error.response["Error"]["Message"]
        self.status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return True


@pytest.fixture
def refused():
    return Refusal
