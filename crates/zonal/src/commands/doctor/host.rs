//! What a world shares with the rest of the host: ports, addresses, the clients that it is called with, and what its images are made of.

use super::{Check, program, read, system_program};
use crate::commands::{api, env};
use crate::settings::Settings;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Command, Stdio};

/// Looks at all of it.
pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let mut checks = addresses(settings);
    checks.extend([aws(), python(), sshd()]);
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

fn aws() -> Check {
    const NAME: &str = "aws CLI";
    let ours = env::venv().map(|bin| bin.join("aws"));
    let Some(aws) = ours.clone().or_else(|| program("aws")) else {
        return Check::note(
            NAME,
            "not found",
            "make setup installs one beside the source; SDKs and `zonal deploy` do without",
        );
    };
    // The first of these writes its version to standard error, the second to standard output.
    let said = Command::new(&aws).arg("--version").stdin(Stdio::null()).output();
    let text = said.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("aws-cli/")).unwrap_or_default();
    if heeds_the_endpoint(version) {
        Check::ok(NAME, format!("{version}, {}", aws.display()))
    } else {
        Check::note(
            NAME,
            format!("{} {version} does not heed AWS_ENDPOINT_URL: it would call the real AWS", aws.display()),
            "make setup installs one that does, and `zonal env` puts it first; or 1.29 / 2.13 and newer",
        )
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

fn python() -> Check {
    const NAME: &str = "python environment";
    match env::venv() {
        Some(bin) => Check::ok(NAME, bin.display().to_string()),
        None => Check::note(
            NAME,
            "none beside this program",
            "make setup makes it; only `make test` and the aws CLI above need it",
        ),
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
    fn an_aws_cli_is_new_enough_from_1_29_and_2_13() {
        for (version, heeds) in
            [("1.29.0", true), ("1.22.34", false), ("2.13.1", true), ("2.9.19", false), ("3.0.0", true), ("", false)]
        {
            assert_eq!(heeds_the_endpoint(version), heeds, "{version}");
        }
    }
}
