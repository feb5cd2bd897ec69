//! Links, addresses and routes by netlink: the few messages we send, written out. (`ip` costs milliseconds a call; an instance
//! has tens for all of its start.)

use crate::error::{Act, Error, Result};
use crate::sys;
use ipnet::Ipv4Net;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

const RTNH_F_ONLINK: u32 = 4;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FR_ACT_TO_TBL: u8 = 1;
/// Where in a message about a route its table stands: the fifth byte after the header.
const ROUTE_TABLE_AT: usize = 20;
/// The table in which every address is the namespace's own: a transparent interface's, and for datagrams in `inet`.
const TAKE_ALL: u32 = 100;

/// The tables of those beside `eth0`: this and their place.
const BESIDE: u32 = 200;
/// `lo`.
pub(crate) const LOOPBACK: u32 = 1;

/// A netlink socket: speaks of the namespace it was opened in.
pub(crate) struct Netlink {
    socket: std::fs::File,
    namespace: String,
}

/// One message being written.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        Self(bytes)
    }

    fn link_header(mut self, index: u32, up: bool) -> Self {
        self.0.extend([0; 4]);
        self.0.extend(index.to_ne_bytes());
        let flags: u32 = if up { libc::IFF_UP as u32 } else { 0 };
        self.0.extend(flags.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
        self
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    fn nested(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 4]);
        let mut filled = inside(self);
        let length = (filled.0.len() - start) as u16;
        filled.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        filled
    }

    /// A route's table, where it is not the main one: the header's field is too small for all of them.
    fn in_table(mut self, table: u32) -> Self {
        if let Some(field) = self.0.get_mut(ROUTE_TABLE_AT) {
            *field = libc::RT_TABLE_UNSPEC;
        }
        self.attribute(libc::RTA_TABLE, &table.to_ne_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// One end of a pair of devices.
pub(crate) struct End<'a> {
    /// The device's name.
    pub name: &'a str,
    /// Its hardware address, where it matters.
    pub mac: Option<[u8; 6]>,
}

impl Netlink {
    /// Opens a socket in a namespace.
    pub(crate) fn open(namespace: BorrowedFd<'_>, name: &str) -> Result<Self> {
        let socket = sys::in_network(namespace, || sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE))
            .and_then(|inner| inner)
            .act("open netlink in", name)?;
        Ok(Self { socket: socket.into(), namespace: name.to_owned() })
    }

    /// Opens a socket in the namespace that this thread is in.
    pub(crate) fn here(name: &str) -> Result<Self> {
        let socket: OwnedFd =
            sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE).act("open netlink in", name)?;
        Ok(Self { socket: socket.into(), namespace: name.to_owned() })
    }

    /// Sends a message and hands back the kernel's answer: a body, or nothing for a bare acknowledgement.
    fn ask(&self, act: &'static str, message: Message) -> Result<Vec<u8>> {
        (&self.socket).write_all(&message.finish()).act(act, &self.namespace)?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 32 << 10];
        loop {
            let got = (&self.socket).read(&mut buffer).act(act, &self.namespace)?;
            let mut rest = &buffer[..got];
            while rest.len() >= 16 {
                let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                if length < 16 || length > rest.len() {
                    return Err(Error::Protocol { peer: "kernel", message: format!("netlink message of {length}") });
                }
                if kind == libc::NLMSG_ERROR as u16 && length >= 20 {
                    let code = i32::from_ne_bytes([rest[16], rest[17], rest[18], rest[19]]);
                    if code == 0 {
                        return Ok(answer);
                    }
                    return Err(std::io::Error::from_raw_os_error(-code)).act(act, &self.namespace);
                }
                answer.extend_from_slice(&rest[16..length]);
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
    }

    /// The index of a device by its name.
    pub(crate) fn index(&self, device: &str) -> Result<u32> {
        let message = Message::new(libc::RTM_GETLINK, 0).link_header(0, false).text(libc::IFLA_IFNAME, device);
        let answer = self.ask("find a device in", message)?;
        match answer.get(4..8) {
            Some(index) => Ok(u32::from_ne_bytes([index[0], index[1], index[2], index[3]])),
            None => Err(Error::Unknown { kind: "device", id: device.to_owned() }),
        }
    }

    /// What a device has received and sent: bytes and packets each.
    pub(crate) fn counters(&self, device: &str) -> Result<((u64, u64), (u64, u64))> {
        let message = Message::new(libc::RTM_GETLINK, 0).link_header(0, false).text(libc::IFLA_IFNAME, device);
        let answer = self.ask("find a device in", message)?;
        let mut rest = answer.get(16..).unwrap_or_default();
        while rest.len() >= 4 {
            let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
            let kind = u16::from_ne_bytes([rest[2], rest[3]]);
            if length < 4 || length > rest.len() {
                break;
            }
            if kind == libc::IFLA_STATS64 && length >= 36 {
                let number = |at: usize| rest[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
                return Ok(((number(20), number(4)), (number(28), number(12))));
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
        Err(Error::Unknown { kind: "counters of device", id: device.to_owned() })
    }

    /// Whether a device exists.
    pub(crate) fn has(&self, device: &str) -> bool {
        self.index(device).is_ok()
    }

    /// Makes a pair of devices, both still down (each can only come up once there are two), the second one in another namespace. `alias` keeps the whole id beside the short name.
    pub(crate) fn pair(&self, here: &End<'_>, there: &End<'_>, namespace: BorrowedFd<'_>, alias: &str) -> Result<()> {
        const VETH_INFO_PEER: u16 = 1;
        let message = Message::new(libc::RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL)
            .link_header(0, false)
            .text(libc::IFLA_IFNAME, here.name)
            .text(libc::IFLA_IFALIAS, alias)
            .nested(libc::IFLA_LINKINFO, |m| {
                m.text(libc::IFLA_INFO_KIND, "veth").nested(libc::IFLA_INFO_DATA, |m| {
                    m.nested(VETH_INFO_PEER, |m| {
                        let m = m
                            .link_header(0, false)
                            .text(libc::IFLA_IFNAME, there.name)
                            .attribute(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
                        match there.mac {
                            Some(mac) => m.attribute(libc::IFLA_ADDRESS, &mac),
                            None => m,
                        }
                    })
                })
            });
        self.ask("make a device pair in", message).map(drop)
    }

    /// Brings a device up.
    pub(crate) fn up(&self, index: u32) -> Result<()> {
        self.ask("bring up a device in", Message::new(libc::RTM_NEWLINK, 0).link_header(index, true)).map(drop)
    }

    /// Removes a device, and so its other end.
    pub(crate) fn remove(&self, device: &str) -> Result<()> {
        let message = Message::new(libc::RTM_DELLINK, 0).link_header(0, false).text(libc::IFLA_IFNAME, device);
        self.ask("remove a device from", message).map(drop)
    }

    fn address_message(kind: u16, flags: u16, index: u32, address: Ipv4Net) -> Message {
        let mut message = Message::new(kind, flags);
        // As the kernel's own: never chosen as the source of what leaves.
        let scope = if address.addr().is_loopback() && index == LOOPBACK && address.prefix_len() < 32 {
            libc::RT_SCOPE_HOST
        } else {
            libc::RT_SCOPE_UNIVERSE
        };
        message.0.extend([libc::AF_INET as u8, address.prefix_len(), 0, scope]);
        message.0.extend(index.to_ne_bytes());
        let octets = address.addr().octets();
        message.attribute(libc::IFA_LOCAL, &octets).attribute(libc::IFA_ADDRESS, &octets)
    }

    /// Gives a device an address, or leaves it with it.
    pub(crate) fn add_address(&self, index: u32, address: Ipv4Net) -> Result<()> {
        let message = Self::address_message(libc::RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, address);
        self.ask("add an address in", message).map(drop)
    }

    /// Takes an address from a device.
    pub(crate) fn remove_address(&self, index: u32, address: Ipv4Net) -> Result<()> {
        self.ask("remove an address in", Self::address_message(libc::RTM_DELADDR, 0, index, address)).map(drop)
    }

    /// A rule about a source address, or about any.
    fn rule_message(kind: u16, flags: u16, source: Option<Ipv4Addr>) -> Message {
        let mut message = Message::new(kind, flags);
        let length = if source.is_some() { 32 } else { 0 };
        message.0.extend([libc::AF_INET as u8, 0, length, 0, 0, 0, 0, FR_ACT_TO_TBL]);
        message.0.extend([0; 4]);
        match source {
            Some(source) => message.attribute(FRA_SRC, &source.octets()),
            None => message,
        }
    }

    /// A rule that has a table looked up for what `which` says; it stays if it is there already.
    fn add_rule(&self, table: u32, which: impl FnOnce(Message) -> Message) -> Result<()> {
        self.add_source_rule(table, None, which)
    }

    fn add_source_rule(
        &self,
        table: u32,
        source: Option<Ipv4Addr>,
        which: impl FnOnce(Message) -> Message,
    ) -> Result<()> {
        let message = Self::rule_message(libc::RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, source);
        match self.ask("add a rule in", which(message).attribute(FRA_TABLE, &table.to_ne_bytes())) {
            Err(Error::Os { source, .. }) if source.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Has packets with a mark leave through a device, by a gateway on it: a table of the mark's own number.
    pub(crate) fn steer(&self, mark: u32, index: u32, via: Ipv4Addr) -> Result<()> {
        let message =
            Self::route_message(libc::RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, Ipv4Net::default(), Some(via));
        self.ask("steer in", message.in_table(mark))?;
        self.add_rule(mark, |rule| {
            rule.attribute(FRA_FWMARK, &mark.to_ne_bytes()).attribute(FRA_FWMASK, &u32::MAX.to_ne_bytes())
        })
    }

    /// Takes a rule of [`Netlink::steer`] back; its route goes with the device.
    pub(crate) fn unsteer(&self, mark: u32) -> Result<()> {
        let message = Self::rule_message(libc::RTM_DELRULE, 0, None);
        let message = message.attribute(FRA_TABLE, &mark.to_ne_bytes()).attribute(FRA_FWMARK, &mark.to_ne_bytes());
        self.ask("unsteer in", message).map(drop)
    }

    /// Has an interface's own end take every packet that comes in, whatever its address.
    pub(crate) fn take_all(&self) -> Result<()> {
        self.take(|rule| rule.text(FRA_IIFNAME, "eth0"))
    }

    /// Has every packet with a mark taken here, whatever its address.
    pub(crate) fn take_marked(&self, mark: u32) -> Result<()> {
        self.take(|rule| rule.attribute(FRA_FWMARK, &mark.to_ne_bytes()))
    }

    /// A table in which every address is this namespace's own, for the packets that a rule says.
    fn take(&self, which: impl FnOnce(Message) -> Message) -> Result<()> {
        let mut message = Message::new(libc::RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
        message.0.extend([libc::AF_INET as u8, 0, 0, 0, 0]);
        message.0.extend([libc::RTPROT_STATIC, libc::RT_SCOPE_HOST, libc::RTN_LOCAL]);
        message.0.extend([0; 4]);
        self.ask("take all in", message.attribute(libc::RTA_OIF, &LOOPBACK.to_ne_bytes()).in_table(TAKE_ALL))?;
        self.add_rule(TAKE_ALL, which)
    }

    fn route_message(kind: u16, flags: u16, index: u32, to: Ipv4Net, via: Option<Ipv4Addr>) -> Message {
        let mut message = Message::new(kind, flags);
        let scope = if via.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
        message.0.extend([libc::AF_INET as u8, to.prefix_len(), 0, 0, libc::RT_TABLE_MAIN]);
        message.0.extend([libc::RTPROT_STATIC, scope, libc::RTN_UNICAST]);
        let onlink: u32 = if via.is_some() { RTNH_F_ONLINK } else { 0 };
        message.0.extend(onlink.to_ne_bytes());
        let message = message.attribute(libc::RTA_OIF, &index.to_ne_bytes());
        let message = if to.prefix_len() > 0 { message.attribute(libc::RTA_DST, &to.addr().octets()) } else { message };
        match via {
            Some(gateway) => message.attribute(libc::RTA_GATEWAY, &gateway.octets()),
            None => message,
        }
    }

    /// Sets the route to a range: through a device, by a gateway on it where there is one, from a preferred source address.
    pub(crate) fn route(&self, index: u32, to: Ipv4Net, via: Option<Ipv4Addr>, from: Option<Ipv4Addr>) -> Result<()> {
        let message = Self::route_message(libc::RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, to, via);
        let message = match from {
            Some(source) => message.attribute(libc::RTA_PREFSRC, &source.octets()),
            None => message,
        };
        self.ask("set a route in", message).map(drop)
    }

    /// Removes the route to a range through a device.
    pub(crate) fn unroute(&self, index: u32, to: Ipv4Net) -> Result<()> {
        let mut message = Message::new(libc::RTM_DELROUTE, 0);
        message.0.extend([
            libc::AF_INET as u8,
            to.prefix_len(),
            0,
            0,
            libc::RT_TABLE_MAIN,
            0,
            libc::RT_SCOPE_NOWHERE,
            0,
        ]);
        message.0.extend([0; 4]);
        let message =
            message.attribute(libc::RTA_OIF, &index.to_ne_bytes()).attribute(libc::RTA_DST, &to.addr().octets());
        self.ask("remove a route in", message).map(drop)
    }

    /// The index of an interface's own end, by its place on its machine. An end that is made anew in its namespace has another.
    fn own(&self, place: u8) -> Result<u32> {
        self.index(&format!("eth{place}"))
    }

    /// Prepares an interface's own end: its addresses, and all else through the gateway.
    pub(crate) fn own_end(&self, addresses: &[Ipv4Addr], gateway: Ipv4Addr) -> Result<()> {
        let index = self.own(0)?;
        self.up(index)?;
        for address in addresses {
            self.add_address(index, Ipv4Net::from(*address))?;
        }
        self.route(index, Ipv4Net::default(), Some(gateway), addresses.first().copied())
    }

    /// Prepares the own end of an interface beside `eth0`: what leaves from its addresses leaves through it, as Amazon Linux arranges
    /// it for a second interface; all else stays with `eth0`.
    pub(crate) fn end_beside(&self, place: u8, addresses: &[Ipv4Addr], gateway: Ipv4Addr) -> Result<()> {
        let (index, table) = (self.own(place)?, BESIDE + u32::from(place));
        self.up(index)?;
        for address in addresses {
            self.add_address(index, Ipv4Net::from(*address))?;
            self.add_source_rule(table, Some(*address), |rule| rule)?;
        }
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        let message = Self::route_message(libc::RTM_NEWROUTE, flags, index, Ipv4Net::default(), Some(gateway));
        self.ask("set a route in", message.in_table(table)).map(drop)
    }

    /// Takes an address from an interface's own end, whose place on its machine is given.
    pub(crate) fn disown(&self, place: u8, address: Ipv4Addr) -> Result<()> {
        if place > 0 {
            let message = Self::rule_message(libc::RTM_DELRULE, 0, Some(address));
            let table = BESIDE + u32::from(place);
            // It goes without its rule where it never had one.
            let _ = self.ask("remove a rule in", message.attribute(FRA_TABLE, &table.to_ne_bytes()));
        }
        self.remove_address(self.own(place)?, Ipv4Net::from(address))
    }
}

/// Reads a hardware address, `0a:…`.
pub(crate) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}
