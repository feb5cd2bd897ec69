"""Instances that set themselves up as CloudFormation's templates say: cfn-init from metadata, wait conditions, cfn-hup. The journey needs
root and is skipped without; what the scripts make of their input is tried here by itself, too.
"""

import grp
import io
import json
import os
import pathlib
import pwd
import subprocess
import sys
import tarfile
import zipfile

import pytest

from conftest import Account, wait_for
from test_linux import a_world

SCRIPTS = pathlib.Path(__file__).parents[1] / "worlds/linux/src/image/cfn"
sys.path.insert(0, str(SCRIPTS))

import cfn_common  # noqa: E402
import cfn_get_metadata  # noqa: E402
import cfn_init  # noqa: E402
import cfn_mustache  # noqa: E402
import cfn_tools  # noqa: E402

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture(autouse=True)
def own_log(tmp_path, monkeypatch):
    monkeypatch.setattr(cfn_tools, "COMMANDS_LOG", str(tmp_path / "commands.log"))


def test_config_sets_name_configs_in_order_and_each_other():
    sets = {"one": ["a", {"ConfigSet": "two"}, "c"], "two": ["b"], "round": [{"ConfigSet": "round"}]}
    assert cfn_init.configs({"configSets": sets}, ["one"]) == ["a", "b", "c"]
    assert cfn_init.configs({"configSets": sets}, ["two", "one"]) == ["b", "a", "b", "c"]
    assert cfn_init.configs({"config": {}}, ["default"]) == ["config"]
    assert cfn_init.configs({"configSets": {"default": ["a"]}}, ["default"]) == ["a"]
    with pytest.raises(cfn_common.Failure, match="No ConfigSet named three exists"):
        cfn_init.configs({"configSets": sets}, ["three"])
    with pytest.raises(cfn_common.Failure, match="Circular"):
        cfn_init.configs({"configSets": sets}, ["round"])
    with pytest.raises(cfn_common.Failure, match="Could not find 'AWS::CloudFormation::Init' key"):
        cfn_init.build({}, ["default"])


def test_files_have_content_of_every_kind_and_are_left_alone_when_they_are_right(tmp_path):
    at = lambda name: str(tmp_path / "in" / name)
    wanted = {
        at("plain"): {"content": "a\n", "mode": "000600", **ME},
        at("json"): {"content": {"b": [1]}, **ME},
        at("coded"): {"content": "AAEC", "encoding": "base64", **ME},
        at("link"): {"content": at("plain"), "mode": "120644"},
        at("filled"): {"content": "Hello {{name}} {{{raw}}}{{#all}}, {{.}}{{/all}}{{^none}}!{{/none}}\n",
                       "context": {"name": "<you>", "raw": "<b>", "all": ["x", "y"]}, **ME},
    }
    changes = cfn_tools.Changes()
    cfn_tools.files(wanted, changes, {})
    assert changes.files == set(wanted)
    assert (tmp_path / "in/plain").read_text() == "a\n" and (tmp_path / "in/plain").stat().st_mode & 0o7777 == 0o600
    assert json.loads((tmp_path / "in/json").read_text()) == {"b": [1]} and (tmp_path / "in/json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "in/coded").read_bytes() == b"\0\1\2"
    assert os.readlink(at("link")) == at("plain")
    assert (tmp_path / "in/filled").read_text() == "Hello &lt;you&gt; <b>, x, y!\n"
    again = cfn_tools.Changes()
    cfn_tools.files(wanted, again, {})
    assert not again.files
    with pytest.raises(cfn_common.Failure, match="No source or content"):
        cfn_tools.files({at("none"): {}}, changes, {})


def test_commands_run_in_the_order_of_their_names_where_their_test_succeeds(tmp_path):
    out = tmp_path / "out"
    changes = cfn_tools.Changes()
    cfn_tools.commands({
        "b": {"command": f"echo second $WORD >> {out}", "env": {"WORD": "word"}},
        "a": {"command": ["touch", "first"], "cwd": str(tmp_path)},
        "c": {"command": f"echo never >> {out}", "test": "test -e /nonexistent"},
        "d": {"command": "exit 7", "ignoreErrors": "true"},
        "e": {"command": f"[[ -e first ]] && echo third >> {out}", "test": "true", "cwd": str(tmp_path)},
    }, changes, {})
    assert (tmp_path / "first").exists() and out.read_text() == "second word\nthird\n"
    assert changes.commands == {"a", "b", "d", "e"}
    with pytest.raises(cfn_common.Failure, match="Command f failed"):
        cfn_tools.commands({"f": {"command": "exit 7"}, "g": {"command": f"echo never >> {out}"}}, changes, {})
    assert "never" not in out.read_text()


def test_archives_are_unpacked_and_githubs_without_their_top(tmp_path):
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as file:
        info = tarfile.TarInfo("top/page")
        info.size = 2
        file.addfile(info, io.BytesIO(b"hi"))
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("top/page", "zip")
    cfn_tools.unpack(str(tmp_path / "a"), "https://example.com/x.tgz", tar.getvalue())
    cfn_tools.unpack(str(tmp_path / "b"), "https://github.com/u/r/tarball/main", tar.getvalue())
    cfn_tools.unpack(str(tmp_path / "c"), "https://example.com/x.zip", zipped.getvalue())
    assert [(tmp_path / path).read_text() for path in ("a/top/page", "b/page", "c/top/page")] == ["hi", "hi", "zip"]
    with pytest.raises(cfn_common.Failure, match="no archive"):
        cfn_tools.unpack(str(tmp_path / "d"), "https://example.com/x.zip", b"<html>")


@pytest.mark.parametrize(("wanted", "words"), [
    ({"rpm": {"epel": "http://example.com/epel.rpm"}}, "RPM files can't be installed here"),
    ({"yum": {"httpd": ["2.4"]}}, "a version can't be chosen with yum here"),
    ({"msi": {"x": "http://example.com/x.msi"}}, "msi does not exist on this system"),
    ({"snap": {"x": []}}, "Unsupported package manager: snap"),
])
def test_what_debian_packages_cannot_do_is_refused_by_name(wanted, words):
    with pytest.raises(cfn_common.Failure, match=words):
        cfn_tools.packages(wanted, cfn_tools.Changes(), {})


def test_mustache_that_is_not_known_or_does_not_end_is_refused():
    for template in ("{{> part}}", "{{#a}}x", "{{#a}}x{{/b}}", "{{=<% %>=}}"):
        with pytest.raises(cfn_common.Failure, match="Mustache"):
            cfn_mustache.render(template, {"a": 1})
    assert cfn_mustache.render("{{a.b}}{{! note }}{{&c}}\n{{#d}}\n{{e}}\n{{/d}}\n", {"a": {"b": 1}, "c": "<", "d": {"e": 2}}) == "1<\n2\n"


def test_a_key_of_metadata_is_found_by_its_dots():
    assert cfn_get_metadata.value_at({"a": {"b": 1}}, "a.b") == 1
    with pytest.raises(cfn_common.Failure, match="does not contain key a.c"):
        cfn_get_metadata.value_at({"a": {"b": 1}}, "a.c")


@pytest.fixture(scope="module")
def real():
    if os.geteuid() != 0:
        pytest.skip("the real world needs root")
    # A vCPU is a core: what is tried here is that things work, not how slow a small instance is.
    with a_world("--range", "24", "--vcpu", "1") as world:
        yield world


@pytest.fixture
def there(real):
    return Account(real)


TEMPLATE = """
Parameters:
  Image: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
  Greeting: {Type: String, Default: hello}
Resources:
  Handle: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Ready: {Type: 'AWS::CloudFormation::WaitCondition', DependsOn: Server, Properties: {Handle: !Ref Handle, Timeout: 300, Count: 2}}
  Server:
    Type: AWS::EC2::Instance
    Metadata:
      AWS::CloudFormation::Init:
        configSets: {all: [people, pages]}
        people:
          groups: {crew: {gid: 4242}}
          users: {clerk: {uid: 4243, groups: [crew], homeDir: /srv}}
        pages:
          files:
            /srv/page/index.html: {content: !Sub "${Greeting} {{name}}\\n", context: {name: world}, mode: '000640', owner: clerk, group: crew}
            /etc/systemd/system/page.service:
              content: |
                [Service]
                ExecStart=/usr/bin/python3 -m http.server 8000 --directory /srv/page
                [Install]
                WantedBy=multi-user.target
            /etc/cfn/cfn-hup.conf: {content: !Sub "[main]\\nstack=${AWS::StackId}\\ninterval=0.05\\n", mode: '000400'}
            /etc/cfn/hooks.d/reload.conf:
              content: !Sub |
                [reload]
                triggers=post.update
                path=Resources.Server.Metadata.AWS::CloudFormation::Init
                action=/opt/aws/bin/cfn-init -s ${AWS::StackName} -r Server -c all && cat /srv/page/index.html > /dev/console
          commands:
            02_say: {command: 'echo "commands: $(cat order)" > /dev/console', cwd: /srv/page}
            01_write: {command: 'echo $WORD > order', env: {WORD: first}, cwd: /srv/page}
            03_never: {command: echo never > /dev/console, test: test -e /nonexistent}
          services:
            systemd:
              page: {enabled: true, ensureRunning: true, files: [/srv/page/index.html, /etc/systemd/system/page.service]}
              cfn-hup: {enabled: true, ensureRunning: true, files: [/etc/cfn/cfn-hup.conf]}
    Properties:
      ImageId: !Ref Image
      InstanceType: t3.micro
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          /opt/aws/bin/cfn-init -v --stack ${AWS::StackName} --resource Server --configsets all --region ${AWS::Region} || exit 1
          echo "who: $(id clerk), $(stat -c '%U %G %a' /srv/page/index.html)"
          echo "key: $(/opt/aws/bin/cfn-get-metadata -s ${AWS::StackName} -r Server -k AWS::CloudFormation::Init.people.groups.crew.gid)"
          for i in $(seq 100); do curl -sf http://localhost:8000/ && break; sleep 0.1; done
          curl -sS -X PUT -H 'Content-Type:' --data-binary '{"Status": "SUCCESS", "Reason": "done", "UniqueId": "by-curl", "Data": "page"}' '${Handle}' && echo "put: $?"
          curl -s -o /dev/null -w 'forged: %{http_code}\\n' -X PUT --data-binary '{}' '${Handle}0'
          /opt/aws/bin/cfn-signal -e 0 -i by-signal -d "$(hostname)" '${Handle}'
Outputs:
  Data: {Value: !GetAtt Ready.Data}
"""


def test_an_instance_sets_itself_up_tells_the_stack_and_follows_its_metadata(there):
    there.cloudformation.create_stack(StackName="setup", TemplateBody=TEMPLATE)
    shown = lambda: there.cloudformation.describe_stacks(StackName="setup")["Stacks"][0]
    instance = lambda: there.cloudformation.describe_stack_resource(
        StackName="setup", LogicalResourceId="Server")["StackResourceDetail"].get("PhysicalResourceId")
    console = lambda: there.world.run("logs", instance()).stdout
    status = wait_for("the stack's end", lambda: not (found := shown()["StackStatus"]).endswith("IN_PROGRESS") and found, 120)
    text = console()
    assert status == "CREATE_COMPLETE", text
    data = json.loads(shown()["Outputs"][0]["OutputValue"])
    assert data["by-curl"] == "page" and data["by-signal"].startswith("ip-")
    assert "who: uid=4243(clerk) gid=" in text and "4242(crew)" in text and "clerk crew 640" in text
    assert "key: 4242" in text and "commands: first" in text and "never" not in text
    assert "hello world" in text and "put: 0" in text and "forged: 403" in text
    # Other metadata is another update; cfn-hup finds it and works it off.
    there.cloudformation.update_stack(StackName="setup", UsePreviousTemplate=True,
                                      Parameters=[{"ParameterKey": "Greeting", "ParameterValue": "good day"}])
    wait_for("the new page", lambda: "good day world" in console(), 60)
    there.cloudformation.delete_stack(StackName="setup")


BROKEN = TEMPLATE[:TEMPLATE.index("    Metadata:")] + """
    Metadata: {'AWS::CloudFormation::Init': {config: {commands: {only: {command: exit 3}}}}}
    Properties:
      ImageId: !Ref Image
      InstanceType: t3.micro
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          /opt/aws/bin/cfn-init --stack ${AWS::StackName} --resource Server
          /opt/aws/bin/cfn-signal -e $? -r "set-up failed" '${Handle}'
"""


def test_a_set_up_that_fails_is_said_to_the_stack(there):
    there.cloudformation.create_stack(StackName="broken", TemplateBody=BROKEN)
    events = lambda: [event.get("ResourceStatusReason", "") for event in
                      there.cloudformation.describe_stack_events(StackName="broken")["StackEvents"]]
    wait_for("the failure", lambda: any(reason.startswith("WaitCondition received failed message: 'set-up failed' for uniqueId: i-")
                                        for reason in events()), 120)
