"""SSH as users of AWS know it: a key pair, a group that opens port 22, the image's default user, and OpenSSH's own client. Needs root."""

import os
import shutil
import subprocess

import pytest

from conftest import Account, wait_for
from test_linux import a_world, open_group

needs_openssh = pytest.mark.skipif(not os.path.exists("/usr/sbin/sshd") or not shutil.which("ssh"),
                                   reason="openssh-server is not installed here, so images have none")
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="the real world needs root"), needs_openssh]


@pytest.fixture(scope="module")
def real():
    with a_world("--range", "25", "--vcpu", "1") as world:
        yield world


@pytest.fixture
def there(real):
    return Account(real)


def key(account, tmp_path, name="mine", **more):
    made = account.ec2.create_key_pair(KeyName=name, **more)
    path = tmp_path / f"{name}.pem"
    path.write_text(made["KeyMaterial"] + "\n")
    path.chmod(0o400)
    return str(path)


def ssh(path, who, *command, more=(), data=None, **identity):
    options = [*more, "-i", path, "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
               "-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={path}.hosts"]
    given = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    return subprocess.run(["ssh", *options, who, *command], capture_output=True, text=True, timeout=90, **given, **identity)


def address(world, instance):
    """As `zonal status` shows it."""
    (line,) = [line.split() for line in world.run("status").stdout.splitlines() if line.startswith(instance)]
    return next(word for word in line if word.startswith("127."))


def image(account, name):
    """The newest image of that name, as templates and tools look for one."""
    found = account.ec2.describe_images(Filters=[{"Name": "name", "Values": [name]}])["Images"]
    return max(found, key=lambda image: (image["CreationDate"], image["Name"]))["ImageId"]


def test_a_key_pair_opens_the_default_users_account(real, there, tmp_path):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path)
    (instance,) = there.launch(KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)])
    at = address(real, instance)
    assert at == there.instance(instance)["PublicIpAddress"]
    assert real.run("logs", instance).stdout.count("SSH HOST KEY") == 0, "none is made before somebody comes"

    done = ssh(path, f"ec2-user@{at}", "id -un; hostname; pwd; sudo id -u; echo $AWS_CA_BUNDLE")
    name = there.instance(instance)["PrivateDnsName"]
    assert done.stdout.split() == ["ec2-user", name, "/home/ec2-user", "0", "/etc/ssl/certs/ca-certificates.crt"], done.stderr
    assert ssh(path, f"ec2-user@{at}", "exit 7").returncode == 7
    assert ssh(path, f"ec2-user@{at}", "tr a-z A-Z", data="hello").stdout == "HELLO"
    # A terminal of its own, where one is asked for.
    assert ssh(path, f"ec2-user@{at}", "tty", more=["-tt"]).stdout.startswith("/dev/pts/")

    # The console shows the keys by which the host is known.
    console = real.run("logs", instance).stdout
    known = open(f"{path}.hosts").read().split()
    assert "-----BEGIN SSH HOST KEY FINGERPRINTS-----" in console and known[2] in console

    # Nobody else gets in, and root is told who may.
    other = key(there, tmp_path, "other")
    assert "Permission denied" in ssh(other, f"ec2-user@{at}", "true").stderr
    told = subprocess.run(["timeout", "5", "ssh", "-i", path, "-F", "none", "-o", f"UserKnownHostsFile={path}.hosts", f"root@{at}", "true"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert 'Please login as the user "ec2-user" rather than the user "root".' in told.stdout

    # No process waits for who may come next.
    wait_for("no sshd", lambda: "sshd" not in real.run_with(["ssh"], instance, "--", "cat /proc/[0-9]*/comm").stdout)


@pytest.mark.parametrize("name, user", [("debian-12-*", "admin"), ("ubuntu/images/*", "ubuntu")])
def test_each_image_has_its_own_default_user(real, there, tmp_path, name, user):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path, KeyType="ed25519")
    (instance,) = there.launch(ImageId=image(there, name), KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)])
    at = address(real, instance)
    assert ssh(path, f"{user}@{at}", "pwd; sudo id -u; stat -c %U ~ ~/.bashrc").stdout.split() == [f"/home/{user}", "0", user, user]
    assert "Permission denied" in ssh(path, f"ec2-user@{at}", "true").stderr


def test_an_image_of_ones_own_keeps_its_user_and_no_host_keys(real, there, tmp_path):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path)
    group = open_group(there, vpc, 22)
    (first,) = there.launch(ImageId=image(there, "ubuntu/images/*"), KeyName="mine", SecurityGroupIds=[group])
    host_keys = lambda at: ssh(path, f"ubuntu@{at}", "cat /etc/ssh/ssh_host_*.pub").stdout
    before = host_keys(address(real, first))
    assert before
    made = there.ec2.create_image(InstanceId=first, Name=f"own-{there.id}", NoReboot=True)["ImageId"]
    there.ec2.get_waiter("image_available").wait(ImageIds=[made])
    new = key(there, tmp_path, "new")
    (second,) = there.launch(ImageId=made, KeyName="new", SecurityGroupIds=[group])
    path = new
    after = host_keys(address(real, second))
    assert after and not set(before.split("\n")) & set(after.split("\n")) - {""}


def test_from_one_instance_to_another_as_groups_allow(real, there, tmp_path):
    path = key(there, tmp_path)
    one, two = there.launch(2, KeyName="mine")
    inside = there.instance(two)["PrivateIpAddress"]
    real.run_with(["ssh"], one, "--", f"umask 077; cat > /root/key <<'K'\n{open(path).read()}K")
    hop = f"ssh -i /root/key -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=3 ec2-user@{inside} hostname"
    # The default group lets its members speak to each other.
    assert real.run_with(["ssh"], one, "--", hop + " 2>/dev/null").stdout.strip() == there.instance(two)["PrivateDnsName"]
    group = there.instance(two)["SecurityGroups"][0]["GroupId"]
    there.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}])
    wait_for("no way in", lambda: real.run_with(["ssh"], one, "--", hop + " 2>&1; true").stdout.count("timed out"))


def test_the_port_is_where_the_settings_say_and_shut_while_the_service_is_stopped(real, there, tmp_path):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path)
    (instance,) = there.launch(KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)])
    there.ec2.authorize_security_group_ingress(GroupId=there.instance(instance)["SecurityGroups"][0]["GroupId"], IpPermissions=[
        {"IpProtocol": "tcp", "FromPort": 2222, "ToPort": 2222, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
    who = f"ec2-user@{address(real, instance)}"
    said = lambda command: real.run_with(["ssh"], instance, "--", command).stdout.split()
    assert said("systemctl is-active sshd; systemctl is-enabled sshd") == ["active", "enabled"]
    said("echo 'Port 2222' >> /etc/ssh/sshd_config; systemctl restart sshd")
    assert ssh(path, who, "echo there", more=["-p", "2222"]).stdout == "there\n"
    assert ssh(path, who, "true").returncode == 255
    assert said("systemctl disable --now ssh; systemctl is-active ssh; true")[-1] == "inactive"
    assert ssh(path, who, "true", more=["-p", "2222"]).returncode == 255
    # It stays shut over a restart, and its door opens again when it is asked for.
    there.ec2.stop_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    there.ec2.start_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    assert said("systemctl is-active ssh; true") == ["inactive"]
    said("systemctl enable --now ssh")
    assert ssh(path, f"ec2-user@{address(real, instance)}", "echo back", more=["-p", "2222"]).stdout == "back\n"


def test_the_world_carries_openssh_in_where_the_host_has_no_such_port(real, there, tmp_path):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path)
    (instance,) = there.launch(KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)])
    proxy = ["-o", f"ProxyCommand={real.program} ssh --home {real.home} -W %h:%p"]
    assert ssh(path, f"ec2-user@{address(real, instance)}", "echo there", more=proxy).stdout == "there\n"
    assert ssh(path, f"ec2-user@{instance}", "echo by id", more=proxy).stdout == "by id\n"
    # sftp's server is there too.
    (tmp_path / "batch").write_text("put /etc/hostname hostname\n")
    done = subprocess.run(["sftp", "-i", path, "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={path}.hosts",
                           "-b", str(tmp_path / "batch"), f"ec2-user@{address(real, instance)}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_image_without_sshd_gets_it_when_the_first_client_comes(real, there, tmp_path):
    vpc, _ = there.default_subnets()
    path = key(there, tmp_path)
    (instance,) = there.launch(KeyName="mine", SecurityGroupIds=[open_group(there, vpc, 22)], InstanceType="t3.medium")
    gone = "apt-get purge -y openssh-server >/dev/null 2>&1; ls /usr/sbin/sshd; systemctl is-active ssh"
    assert real.run_with(["ssh"], instance, "--", gone + "; true").stdout.split() == ["inactive"]
    there.ec2.stop_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
    there.ec2.start_instances(InstanceIds=[instance])
    there.ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
    done = ssh(path, f"ec2-user@{address(real, instance)}", "echo there", more=["-o", "ConnectTimeout=80"])
    assert done.stdout == "there\n", done.stderr + real.run("logs", instance).stdout
    assert "sshd: the image has none; installing it" in real.run("logs", instance).stdout
