"""The real world as an ordinary user with subordinate ids: made for these tests by root, gone after them. Skipped where root can't."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import conftest
from conftest import Account, World, program, wait_for
from test_inside import CALLS, INSTALLS, console
from test_linux import SERVER, answers, curl, open_group
from test_outside import Site, datagrams_go_out
from test_ssh import needs_openssh, ssh

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
NEEDED = ("useradd", "usermod", "userdel", "newuidmap", "newgidmap")


def why_not():
    """What keeps root from making such a user here, if anything does."""
    if os.geteuid() != 0:
        return "root makes the user"
    lacking = [name for name in NEEDED if not shutil.which(name, path=PATH)]
    return f"this machine lacks {', '.join(lacking)}" if lacking else None


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"PATH": PATH})
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


class Person:
    """An ordinary user."""

    def __init__(self, directory):
        self.name, self.home = f"zonal-{os.getpid()}", f"{directory}/person"
        run("useradd", "--create-home", "--home-dir", self.home, "--shell", "/bin/sh",
            "--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0", self.name)
        # Where nobody is kept out: the checkout may be below /root.
        self.program = f"{directory}/zonal"
        shutil.copy(program(), self.program)
        os.chmod(self.program, 0o755)
        # Before anything is lent to them, and then root lends it.
        self.without_ids = subprocess.run([self.program, "up", "--detach", "--home", f"{self.home}/none"], capture_output=True,
                                          text=True, timeout=60, **self.identity())
        run(self.program, "setup", "--yes", "--user", self.name)

    def identity(self):
        return {"user": self.name, "group": self.name, "extra_groups": [], "cwd": self.home,
                "env": {"PATH": PATH, "HOME": self.home, "USER": self.name, "LANG": "C.UTF-8"}}

    def processes(self):
        """Those that live: one that has ended may wait for the machine's init to notice."""
        found = subprocess.run(["pgrep", "--uid", self.name, "--list-full"], capture_output=True, text=True).stdout
        return [line for line in found.splitlines() if not line.endswith("<defunct>")]

    def end(self):
        run("userdel", self.name)


@pytest.fixture(scope="module")
def person():
    with tempfile.TemporaryDirectory(prefix="zonal-clients-") as directory:
        os.chmod(directory, 0o755)
        person = Person(directory)
        try:
            yield person
        finally:
            person.end()


@pytest.fixture(scope="module")
def real(person):
    identity = person.identity()
    doctor = subprocess.run([person.program, "doctor"], capture_output=True, text=True, timeout=60, **identity)
    if doctor.returncode == 3:
        pytest.skip(doctor.stdout)
    # `auto`: the real world is what an ordinary user gets here, without asking for it.
    world = World(f"{person.home}/world", "--range", "20", identity=identity, program=person.program)
    yield world
    world.end()


@pytest.fixture
def there(real):
    return Account(real)


def test_who_lacks_subordinate_ids_is_told_so(person):
    said = person.without_ids
    assert said.returncode == 3, said.stdout + said.stderr
    assert f"/etc/subuid lends {person.name} no 65536 ids" in said.stderr and "sudo zonal setup" in said.stderr
    assert "--world sim" in said.stderr and not os.path.exists(f"{person.home}/none")


def page(world, name):
    """The page of a name of the world's, by way of the API's port."""
    return curl(f"http://{name}.localhost:{world.port}/", "--resolve", f"{name}.localhost:{world.port}:127.0.0.1")


def test_a_page_opens_by_name_until_its_group_is_closed(real, there):
    vpc, _ = there.default_subnets()
    group = open_group(there, vpc)
    (instance,) = there.launch(UserData=SERVER, SecurityGroupIds=[group])
    shown = there.instance(instance)
    name = shown["PublicDnsName"]
    wait_for("200 by name", lambda: page(real, name)[0] == 200, 60)
    assert page(real, name)[1].strip() == f"hello from {shown['PrivateDnsName']}"

    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    there.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    wait_for("no page", lambda: page(real, name)[0] != 200)
    there.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    wait_for("the page again", lambda: page(real, name)[0] == 200)


def test_ports_from_1024_are_on_the_host(there):
    vpc, _ = there.default_subnets()
    (instance,) = there.launch(UserData=SERVER.replace("http.server 80", "http.server 8080"),
                               SecurityGroupIds=[open_group(there, vpc, 8080)])
    assert "hello from" in answers(f"http://{there.instance(instance)['PublicIpAddress']}:8080/")


def test_inside_it_is_as_in_any_instance(real, there):
    (instance,) = there.launch()
    told = lambda command: real.run_with(["ssh"], instance, "--", command).stdout.split()
    assert told("stat -c %u:%g:%a /etc/shadow /usr/bin/passwd /root") == ["0:0:640", "0:0:4755", "0:0:700"]
    assert told("su ec2-user -c 'id -u; cat /etc/shadow 2>/dev/null; echo $?'") == ["1000", "1"]
    assert told("find / -xdev ! -path /proc ! -path /usr/lib/zonal/guest -uid +60000") == []
    # Nothing of the machine's is anybody's to change: its root is nobody in there.
    assert told("echo 1 2>/dev/null >/proc/sys/kernel/panic; echo $?") != ["0"]


def test_disks_outlive_a_stop_and_images_are_made_of_them(real, there):
    said = lambda instance, command: real.run_with(["ssh"], instance, "--", command).stdout.split()
    (first,) = there.launch()
    said(first, "rm -r /etc/pam.d && mkdir /etc/pam.d && touch /etc/pam.d/mine && chown 1000 /etc/pam.d/mine")
    there.ec2.stop_instances(InstanceIds=[first])
    there.ec2.get_waiter("instance_stopped").wait(InstanceIds=[first])
    image = there.ec2.create_image(InstanceId=first, Name=f"golden-{there.id}")["ImageId"]
    there.ec2.get_waiter("image_available").wait(ImageIds=[image])
    (second,) = there.launch(ImageId=image)
    there.ec2.start_instances(InstanceIds=[first])
    there.ec2.get_waiter("instance_running").wait(InstanceIds=[first])
    for instance in (first, second):
        assert said(instance, "ls /etc/pam.d; stat -c %u /etc/pam.d/mine") == ["mine", "1000"]


def test_instances_call_awss_api_by_its_names_over_tls(there):
    (instance,) = there.launch(UserData=CALLS.replace("000000000000", there.id))
    said = console(there, instance, "all-said", 120)
    assert f"<Account>{there.id}</Account>" in said and f"mine: instanceId>{instance}" in said
    assert "python trusts: 200" in said and "others do not: True" in said


def test_user_data_installs_packages_by_apt_and_by_dnf(there):
    (instance,) = there.launch(UserData=INSTALLS, InstanceType="t3.medium")
    said = console(there, instance, "all-installed", 300)
    assert "<title>Welcome to nginx!</title>" in said and "a page of httpd's" in said
    assert "No match for argument: no-such-package-anywhere" in said and "it pretends" not in said


@needs_openssh
def test_openssh_logs_in_by_way_of_the_world(real, there, person):
    vpc, _ = there.default_subnets()
    made = there.ec2.create_key_pair(KeyName="mine")
    path = f"{person.home}/{there.id}.pem"
    with open(path, "w") as file:
        file.write(made["KeyMaterial"] + "\n")
    os.chmod(path, 0o400)
    shutil.chown(path, person.name, person.name)
    (instance,) = there.launch(KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)])
    proxy = ["-o", f"ProxyCommand={person.program} ssh --home {real.home} -W %h:%p"]
    done = ssh(path, f"ec2-user@{there.instance(instance)['PublicIpAddress']}", "id -un; sudo id -u; tty", more=["-tt", *proxy],
               **person.identity())
    user, root, terminal = done.stdout.split()
    assert (user, root) == ("ec2-user", "0") and terminal.startswith("/dev/pts/"), done.stderr


def test_datagrams_reach_the_internet(person):
    with contextlib.ExitStack() as ends:
        datagrams_go_out(Site(person.home, ends, "--range", "23", identity=person.identity(), program=person.program))


def test_the_world_is_adopted_by_the_next_up_and_a_purge_leaves_nothing(person):
    identity = person.identity()
    home, ports = f"{person.home}/other", ["--port", str(conftest.free_port()), "--dns-port", str(conftest.free_port())]
    zonal = lambda *arguments: subprocess.run([person.program, *arguments, "--home", home], capture_output=True, text=True,
                                              timeout=120, **identity)
    before = person.processes()
    up = lambda: zonal("up", "--detach", "--range", "21", *ports)
    done = up()
    assert done.returncode == 0, done.stdout + done.stderr
    world = World.__new__(World)
    world.endpoint, world.port, world.home = f"http://localhost:{ports[1]}", int(ports[1]), home
    account = Account(world)
    (instance,) = account.launch()
    started = account.instance(instance)["LaunchTime"]
    for pid, role in [line.split()[0::2] for line in person.processes() if home in line]:
        if role in ("supervise", "daemon", "plane", "warden"):
            os.kill(int(pid), 9)
    done = up()
    assert done.returncode == 0, done.stdout + done.stderr
    adopted = account.instance(instance)
    assert (adopted["State"]["Name"], adopted["LaunchTime"]) == ("running", started)
    done = zonal("down", "--purge")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not os.path.exists(home)
    assert person.processes() == before
    assert home not in pathlib.Path("/proc/self/mounts").read_text()
