"""The sections of a config, each a function of what is wanted: what of it is there already stays as it is, and what changed is noted, as
services start anew by it.

Reference: "AWS::CloudFormation::Init". What Debian packages can't do is refused: versions by yum, RPM files, other systems' installers.
"""

import base64
import collections
import grp
import io
import json
import logging
import os
import pwd
import shutil
import subprocess
import tarfile
import urllib.parse
import zipfile

import cfn_common
import cfn_mustache

COMMANDS_LOG = "/var/log/cfn-init-cmd.log"


class Changes:
    """What a config changed: packages by their manager, the rest by name."""

    def __init__(self):
        self.packages = collections.defaultdict(set)
        self.files, self.sources, self.commands = set(), set(), set()


def quietly(*command):
    """Runs a program of the system's; its output is in the log, and its failure ends all."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    logging.debug("%s: %s\n%s", " ".join(command), done.returncode, done.stdout)
    if done.returncode:
        raise cfn_common.Failure(f"{' '.join(command)} failed: {done.stdout.strip()[-500:]}")
    return done.stdout


def truth(value):
    """A boolean, which templates also write as text."""
    return value is True or str(value).lower() == "true"


def packages(wanted, changes, _):
    installers = {"rpm": no_rpm, "yum": yum, "apt": apt, "dnf": yum, "zypper": elsewhere("zypper"), "rubygems": gems, "python": pip,
                  "msi": elsewhere("msi")}
    for manager in wanted:
        if manager not in installers:
            raise cfn_common.Failure(f"Unsupported package manager: {manager}")
    for manager, install in installers.items():
        for name, versions in sorted((wanted.get(manager) or {}).items()):
            before = installed()
            versions = [versions] if isinstance(versions, str) else list(versions or [])
            install(name, [version for version in versions if version])
            if installed() != before or manager in ("rubygems", "python"):
                logging.info("Installed %s with %s", name, manager)
                changes.packages[manager].add(name)


def installed():
    return quietly("dpkg-query", "--show")


def elsewhere(manager):
    def refuse(name, _):
        raise cfn_common.Failure(f"{manager} does not exist on this system: {name} can't be installed with it")
    return refuse


def no_rpm(name, _):
    raise cfn_common.Failure(f"{name}: RPM files can't be installed here: this system is made of Debian packages")


def yum(name, versions):
    if versions:
        raise cfn_common.Failure(f"{name}: a version can't be chosen with yum here: this system is made of Debian packages")
    quietly("yum", "-y", "install", name)


def apt(name, versions):
    # apt-get sees no repositories before it was told to look.
    if not any(file.endswith("_Packages") or "_Packages." in file for file in os.listdir("/var/lib/apt/lists")):
        quietly("apt-get", "update", "-q")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    names = [f"{name}={version}" for version in versions] or [name]
    quietly("apt-get", "install", "-y", "-q", *names)


def gems(name, versions):
    must_exist("gem", "rubygems", name)
    for version in versions or [None]:
        quietly("gem", "install", "--no-document", name, *(["--version", version] if version else []))


def pip(name, versions):
    must_exist("pip3", "python", name)
    for version in versions or [None]:
        quietly("pip3", "install", f"{name}=={version}" if version else name)


def must_exist(program, manager, name):
    if not shutil.which(program):
        raise cfn_common.Failure(f"{name}: {program} is needed for packages of {manager}, and is not installed (a yum package before it?)")


def groups(wanted, _changes, _):
    for name, options in sorted(wanted.items()):
        try:
            grp.getgrnam(name)
        except KeyError:
            gid = (options or {}).get("gid")
            quietly("groupadd", "-r", *(["-g", str(gid)] if gid is not None else []), name)
            logging.info("Created group %s", name)


def users(wanted, _changes, _):
    for name, options in sorted(wanted.items()):
        options = options or {}
        flags = [part for key, flag in (("uid", "-u"), ("homeDir", "-d")) if options.get(key) is not None for part in (flag, str(options[key]))]
        if options.get("groups"):
            flags += ["-G", ",".join(options["groups"])]
        try:
            pwd.getpwnam(name)
        except KeyError:
            quietly("useradd", "-M", "-r", "--shell", "/sbin/nologin", *flags, name)
            logging.info("Created user %s", name)
        else:
            if flags:
                quietly("usermod", *flags, name)


def sources(wanted, changes, authentication):
    for place, url in sorted(wanted.items()):
        unpack(place, url, cfn_common.download(url, (authentication, None)))
        logging.info("Unpacked %s to %s", url, place)
        changes.sources.add(place)


def unpack(place, url, archive):
    """Unpacks an archive; one of GitHub's without the directory that it puts everything in."""
    os.makedirs(place, exist_ok=True)
    where = urllib.parse.urlparse(url)
    github = where.hostname in ("github.com", "api.github.com", "codeload.github.com") and any(
        part in where.path.split("/") for part in ("tarball", "zipball"))
    try:
        if zipfile.is_zipfile(io.BytesIO(archive)):
            with zipfile.ZipFile(io.BytesIO(archive)) as file:
                members = [(info.filename, info, info.external_attr >> 16) for info in file.infolist()]
                for name, info, mode in trimmed(members, github):
                    info.filename = name
                    at = file.extract(info, place)
                    if mode & 0o777 and not info.is_dir():
                        os.chmod(at, mode & 0o777)
        else:
            with tarfile.open(fileobj=io.BytesIO(archive)) as file:
                # Pythons that know filters want one named.
                kept = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
                members = [(member.name, member, None) for member in file.getmembers()]
                for name, member, _ in trimmed(members, github):
                    member.name = name
                    file.extract(member, place, **kept)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise cfn_common.Failure(f"{url} is no archive that can be unpacked: {error}") from error


def trimmed(members, top):
    for name, member, more in members:
        name = name.split("/", 1)[1] if top and "/" in name else "" if top else name
        if name:
            yield name, member, more


def files(wanted, changes, authentication):
    for path, options in sorted(wanted.items()):
        mode = int(str(options.get("mode", "000644")), 8)
        content = body(path, options, authentication)
        os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
        if mode & 0o170000 == 0o120000:
            changed = link(path, content.decode())
        else:
            changed = write(path, content, mode & 0o7777)
            own(path, options)
        if changed:
            logging.info("Wrote %s", path)
            changes.files.add(path)


def body(path, options, authentication):
    """The bytes of a file."""
    if "content" in options:
        content = options["content"]
        content = content if isinstance(content, str) else json.dumps(content, indent=4)
        if "context" in options:
            content = cfn_mustache.render(content, options["context"])
        if options.get("encoding", "plain") == "base64":
            return base64.b64decode(content)
        return content.encode()
    if "source" in options:
        content = cfn_common.download(options["source"], (authentication, options.get("authentication")))
        if "context" in options:
            content = cfn_mustache.render(content.decode(), options["context"]).encode()
        return content
    raise cfn_common.Failure(f"No source or content for file {path}")


def link(path, target):
    if os.path.islink(path) and os.readlink(path) == target:
        return False
    if os.path.lexists(path):
        os.remove(path)
    os.symlink(target, path)
    return True


def write(path, content, mode):
    """Puts a file in place whole; whether it was another before."""
    try:
        with open(path, "rb") as file:
            changed = file.read() != content
    except FileNotFoundError:
        changed = True
    if changed:
        pending = f"{path}.cfn-init"
        with open(os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        os.replace(pending, path)
    os.chmod(path, mode)
    return changed


def own(path, options):
    user, group = options.get("owner", "root"), options.get("group", "root")
    try:
        shutil.chown(path, number(user), number(group))
    except LookupError as error:
        raise cfn_common.Failure(f"File {path}: {error}") from error


def number(name):
    return int(name) if str(name).isdigit() else name


def commands(wanted, changes, _):
    for name, options in sorted(wanted.items()):
        if "command" not in options:
            raise cfn_common.Failure(f"Command {name} has no command to run")
        environment = {key: str(value) for key, value in options["env"].items()} if "env" in options else None
        if "test" in options and execute(name, "test", options["test"], options.get("cwd"), environment):
            logging.info("Test for command %s failed: it is not run", name)
            continue
        changes.commands.add(name)
        code = execute(name, "command", options["command"], options.get("cwd"), environment)
        if code and not truth(options.get("ignoreErrors", False)):
            raise cfn_common.Failure(f"Command {name} failed")
        logging.info("Command %s ended with %s", name, code)


def execute(name, what, command, directory, environment):
    """Runs a command, a list as it is and text by the shell; its output is in a log of its own."""
    with open(COMMANDS_LOG, "ab") as log:
        log.write(f"{name} ({what}): {command}\n".encode())
        log.flush()
        try:
            return subprocess.run(command, shell=isinstance(command, str), executable="/bin/bash" if isinstance(command, str) else None,
                                  cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 127


def services(wanted, changes, _):
    for kind, units in wanted.items():
        if kind not in ("sysvinit", "systemd"):
            raise cfn_common.Failure(f"Services of {kind} do not exist on this system")
        for name, options in sorted(units.items()):
            service(name, options or {}, changes)


def service(name, options, changes):
    """Brings a service to what is wanted, by `systemctl`, which is the one way here."""
    if options.get("files"):
        quietly("systemctl", "daemon-reload")
    if "enabled" in options:
        quietly("systemctl", "enable" if truth(options["enabled"]) else "disable", name)
    if "ensureRunning" not in options:
        return
    runs = subprocess.run(["systemctl", "is-active", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    if not truth(options["ensureRunning"]):
        if runs:
            quietly("systemctl", "stop", name)
    elif not runs:
        quietly("systemctl", "start", name)
    elif depends(options, changes):
        logging.info("Restarting %s: something that it depends on changed", name)
        quietly("systemctl", "restart", name)


def depends(options, changes):
    """Whether something changed that a service is to start anew by."""
    return (
        not changes.files.isdisjoint(options.get("files") or [])
        or not changes.sources.isdisjoint(options.get("sources") or [])
        or not changes.commands.isdisjoint(options.get("commands") or [])
        or any(not changes.packages[manager].isdisjoint(names or []) for manager, names in (options.get("packages") or {}).items())
    )


SECTIONS = (
    ("packages", packages), ("groups", groups), ("users", users), ("sources", sources), ("files", files), ("commands", commands),
    ("services", services),
)
