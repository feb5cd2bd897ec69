//! What a world shares with the rest of the host: ports, addresses, the clients that it is called with, and what its images are made of.

use super::{Check, read, system_program};
use crate::commands::{api, env};
use crate::settings::Settings;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Looks at all of it.
pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let mut checks = addresses(settings);
    checks.extend(aws(settings));
    checks.extend(python());
    checks.push(sshd());
    checks
}

/// The ports and addresses that a world takes on this host.
fn addresses(settings: &Settings) -> Vec<Check> {
    let up = api::is_up(settings);
    let api = settings.address();
    let port = |name: &'static str, port: u16, option: &str, free: bool| {
        if up {
            Check::ok(name, format!("{port}: taken by the Zonal that runs"))
        } else if free {
            Check::ok(name, format!("{port} is free"))
        } else {
            Check::note(
                name,
                format!("{port} is taken by another program"),
                format!("end it, or: zonal up {option} ANOTHER"),
            )
        }
    };
    let dns = settings.dns();
    let dns_free = UdpSocket::bind(dns).is_ok() && TcpListener::bind(dns).is_ok();
    vec![
        port("API port", api.port(), "--port", TcpListener::bind(api).is_ok()),
        port("DNS port", dns.port(), "--dns-port", dns_free),
        public_range(settings, up),
    ]
}

fn public_range(settings: &Settings, up: bool) -> Check {
    const NAME: &str = "public addresses";
    let range = settings.public_range;
    if up {
        return Check::ok(NAME, format!("{range}: the Zonal's that runs"));
    }
    let taken = listeners(&read("/proc/net/tcp")).into_iter().find(|(address, _)| range.contains(address));
    let host = Ipv4Addr::from(u32::from(range.network()) | 1);
    match (taken, TcpListener::bind((IpAddr::V4(host), 0))) {
        (Some((address, port)), _) => Check::note(
            NAME,
            format!("{address}:{port} is taken by another program"),
            "another world's? zonal up --range N takes another range",
        ),
        (None, Err(error)) => Check::missing(
            NAME,
            format!("{host} can't be had: {error}"),
            "the loopback device must be up, with 127.0.0.0/8",
        ),
        (None, Ok(_)) => Check::ok(NAME, format!("{range} is free")),
    }
}

/// The addresses that something listens on, of a /proc/net/tcp.
fn listeners(table: &str) -> Vec<(Ipv4Addr, u16)> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        // 0A is listening. The address is in the machine's own byte order.
        let listens = fields.get(3) == Some(&"0A");
        let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
        listens.then_some((Ipv4Addr::from(address), u16::from_str_radix(port, 16).ok()?))
    };
    table.lines().filter_map(parse).collect()
}

/// The aws CLI that `zonal env` leads to, and before it the one that set-up made where that can't be run.
fn aws(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "aws CLI";
    let ours = env::venv().map(|bin| bin.join("aws"));
    let mut checks: Vec<Check> = ours.as_deref().and_then(idle).into_iter().collect();
    match env::real_aws(&settings.directory.join("bin")) {
        Some(aws) => checks.push(asked(&aws, &Command::new(&aws).arg("--version").stdin(Stdio::null()).output())),
        // What is said of the one that can't be run is enough.
        None if checks.is_empty() => checks.push(Check::note(
            NAME,
            "not found",
            "make setup installs one beside the source; SDKs and `zonal deploy` do without",
        )),
        None => {}
    }
    checks
}

/// What is to be said of an aws CLI of set-up's that whoever asks can't run.
fn idle(aws: &Path) -> Option<Check> {
    let error = env::may_run(aws).err()?;
    Some(Check::note(
        "aws CLI",
        format!("{} can't be run: {error}", aws.display()),
        "it was made by another user; `zonal env` leaves it out. One on PATH does, or a copy of the source of your own and make setup there",
    ))
}

/// What an aws CLI's answer to `--version` says of it.
fn asked(aws: &Path, answer: &io::Result<Output>) -> Check {
    const NAME: &str = "aws CLI";
    const REMEDY: &str =
        "make setup installs one that does, and `zonal env` puts it first; or 1.29 / 2.13 and newer on PATH";
    let aws = aws.display();
    let output = match answer {
        Ok(output) => output,
        Err(error) => return Check::note(NAME, format!("{aws} can't be run: {error}"), REMEDY),
    };
    // The first of these writes its version to standard error, the second to standard output.
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match text.split_whitespace().find_map(|word| word.strip_prefix("aws-cli/")) {
        Some(version) if heeds_the_endpoint(version) => Check::ok(NAME, format!("{version}, {aws}")),
        Some(version) => Check::note(
            NAME,
            format!("{aws} {version} does not heed AWS_ENDPOINT_URL: it would call the real AWS"),
            REMEDY,
        ),
        None => {
            let said = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
            Check::note(NAME, format!("{aws} does not tell its version ({}): {said}", output.status), REMEDY)
        }
    }
}

/// Whether a version of the aws CLI knows `AWS_ENDPOINT_URL`.
fn heeds_the_endpoint(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    match (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) {
        (1, minor) => minor >= 29,
        (2, minor) => minor >= 13,
        (major, _) => major > 2,
    }
}

/// Whether the base image has an sshd: it is made of this machine's packages.
fn sshd() -> Check {
    const NAME: &str = "instances' sshd";
    match (system_program("sshd"), system_program("sudo")) {
        (Some(_), Some(_)) => Check::ok(NAME, "this machine's openssh-server, and its sudo"),
        (Some(_), None) => Check::note(
            NAME,
            "this machine's openssh-server; it has no sudo",
            "with sudo installed here, who logs in to an instance becomes root as on AWS",
        ),
        (None, _) => Check::note(
            NAME,
            "this machine has no openssh-server",
            "each instance installs it at its first login, which takes a while; installed here, all have it from the start",
        ),
    }
}

/// Nothing of one that can't be run: that is said of its aws CLI.
fn python() -> Option<Check> {
    const NAME: &str = "python environment";
    match env::venv() {
        Some(bin) => env::may_run(&bin.join("aws")).ok().map(|()| Check::ok(NAME, bin.display().to_string())),
        None => Some(Check::note(
            NAME,
            "none beside this program",
            "make setup makes it; only `make test` and the aws CLI above need it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_are_listeners() {
        let table = "  sl  local_address rem_address   st\n   0: 0100647F:0050 00000000:0000 0A 0\n   1: 0200647F:0050 0100647F:9000 01 0\n";
        let expected = if cfg!(target_endian = "little") {
            vec![(Ipv4Addr::new(127, 100, 0, 1), 80)]
        } else {
            vec![(Ipv4Addr::new(1, 0, 100, 127), 80)]
        };
        assert_eq!(listeners(table), expected);
    }

    #[test]
    fn an_aws_cli_that_does_not_run_is_not_called_old() {
        let check = |script: &str, expected: &str| {
            let answer = Command::new("/bin/sh").args(["-c", script]).output();
            let found = asked(Path::new("/x/aws"), &answer).found;
            assert!(found.contains(expected) && found.contains("/x/aws"), "{found}");
        };
        check("echo aws-cli/1.44.1 Python/3.11", "1.44.1, /x/aws");
        check("echo aws-cli/1.22.34 Python/3.11 >&2", "does not heed AWS_ENDPOINT_URL");
        check("echo No module named awscli >&2; exit 1", "(exit status: 1): No module named awscli");
        let found = asked(Path::new("/x/aws"), &Err(io::ErrorKind::PermissionDenied.into())).found;
        assert_eq!(found, "/x/aws can't be run: permission denied");
    }

    #[test]
    fn an_aws_cli_is_new_enough_from_1_29_and_2_13() {
        for (version, heeds) in
            [("1.29.0", true), ("1.22.34", false), ("2.13.1", true), ("2.9.19", false), ("3.0.0", true), ("", false)]
        {
            assert_eq!(heeds_the_endpoint(version), heeds, "{version}");
        }
    }
}
