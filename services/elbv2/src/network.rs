//! What is particular to network load balancers: their protocols, which go together, and what their plane is told beside what
//! every plane is.
//!
//! Source: User Guide for Network Load Balancers, "Listeners", "Target groups", "Client IP preservation", "Update the TCP idle
//! timeout".

use crate::attributes;
use crate::errors::Error;
use crate::model::{Attributes, CheckProtocol, Kind, Listener, Protocol, TargetGroup, TargetType, Version};
use crate::shapes::{LoadBalancerTypeEnum, ProtocolEnum};
use std::time::Duration;
use zonal_balancer::config::{self, FlowGroup, FlowListener, FlowProtocol};

impl Kind {
    /// The kind that a request asks for.
    ///
    /// # Errors
    /// One that there is no plane for.
    pub fn of(wire: LoadBalancerTypeEnum) -> Result<Self, Error> {
        match wire {
            LoadBalancerTypeEnum::Application => Ok(Self::Application),
            LoadBalancerTypeEnum::Network => Ok(Self::Network),
            other @ LoadBalancerTypeEnum::Gateway => {
                Err(Error::Unsupported(format!("load balancers of type '{other}'; only 'application' and 'network'")))
            }
        }
    }

    /// As a Describe shows it.
    #[must_use]
    pub fn wire(self) -> LoadBalancerTypeEnum {
        match self {
            Self::Application => LoadBalancerTypeEnum::Application,
            Self::Network => LoadBalancerTypeEnum::Network,
        }
    }

    /// What stands before the name in ARNs.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Network => "net",
        }
    }
}

impl Protocol {
    /// The protocol that a request asks for; `None` for one that there is no plane for.
    #[must_use]
    pub fn of(wire: ProtocolEnum) -> Option<Self> {
        Some(match wire {
            ProtocolEnum::Http => Self::Http,
            ProtocolEnum::Https => Self::Https,
            ProtocolEnum::Tcp => Self::Tcp,
            ProtocolEnum::Udp => Self::Udp,
            ProtocolEnum::TcpUdp => Self::TcpUdp,
            ProtocolEnum::Tls => Self::Tls,
            _ => return None,
        })
    }

    /// As a Describe shows it.
    #[must_use]
    pub fn wire(self) -> ProtocolEnum {
        match self {
            Self::Http => ProtocolEnum::Http,
            Self::Https => ProtocolEnum::Https,
            Self::Tcp => ProtocolEnum::Tcp,
            Self::Udp => ProtocolEnum::Udp,
            Self::TcpUdp => ProtocolEnum::TcpUdp,
            Self::Tls => ProtocolEnum::Tls,
        }
    }

    /// The kind of load balancer that has it.
    #[must_use]
    pub fn kind(self) -> Kind {
        if matches!(self, Self::Http | Self::Https) { Kind::Application } else { Kind::Network }
    }

    /// Whether a listener of this protocol forwards to groups of that one.
    #[must_use]
    pub fn forwards_to(self, group: Self) -> bool {
        match self {
            Self::Http | Self::Https => matches!(group, Self::Http | Self::Https),
            Self::Tcp => matches!(group, Self::Tcp | Self::TcpUdp),
            Self::Udp => matches!(group, Self::Udp | Self::TcpUdp),
            Self::TcpUdp => group == Self::TcpUdp,
            Self::Tls => matches!(group, Self::Tcp | Self::Tls),
        }
    }

    /// Whether TLS ends at a listener of this protocol.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }

    fn has_datagrams(self) -> bool {
        matches!(self, Self::Udp | Self::TcpUdp)
    }
}

impl Version {
    /// As a Describe shows it.
    #[must_use]
    pub fn wire(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP1",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
        }
    }
}

impl CheckProtocol {
    /// As a Describe shows it.
    #[must_use]
    pub fn wire(self) -> ProtocolEnum {
        match self {
            Self::Http => ProtocolEnum::Http,
            Self::Https => ProtocolEnum::Https,
            Self::Tcp => ProtocolEnum::Tcp,
        }
    }
}

/// What an attribute of a target group is by default, where that depends on the group.
#[must_use]
pub fn default_of(group: &TargetGroup, key: &str) -> Option<&'static str> {
    let word = |value: bool| if value { "true" } else { "false" };
    match key {
        // Instances and load balancers see their clients; addresses do only of datagrams.
        PRESERVE => Some(word(group.target_type != TargetType::Ip || group.protocol.has_datagrams())),
        TERMINATE => Some(word(group.protocol.has_datagrams())),
        TERMINATE_UNHEALTHY => Some(word(!group.protocol.has_datagrams())),
        _ => None,
    }
}

/// Client IP preservation.
pub const PRESERVE: &str = "preserve_client_ip.enabled";
/// Connection termination on deregistration.
pub const TERMINATE: &str = "deregistration_delay.connection_termination.enabled";

/// Connection termination for targets that became unhealthy.
pub const TERMINATE_UNHEALTHY: &str = "target_health_state.unhealthy.connection_termination.enabled";
/// How long one that became unhealthy drains.
pub const UNHEALTHY_DRAINING: &str = "target_health_state.unhealthy.draining_interval_seconds";

/// What attributes of a target group allow only together.
///
/// # Errors
/// Datagrams keep their source address, and their flows are not ended where a target is unhealthy; whose connections are ended at
/// once does not drain.
pub fn check_attributes(group: &TargetGroup, set: &Attributes) -> Result<(), Error> {
    if group.protocol.has_datagrams() && set.get(PRESERVE).is_some_and(|value| value == "false") {
        let protocol = group.protocol.wire();
        return Err(Error::InvalidConfiguration(format!(
            "Client IP preservation cannot be disabled for target groups with the protocol '{protocol}'"
        )));
    }
    let terminates = set.get(TERMINATE_UNHEALTHY).map_or(!group.protocol.has_datagrams(), |value| value == "true");
    if terminates && group.protocol.has_datagrams() {
        return Err(Error::InvalidConfiguration(format!(
            "Connection termination for unhealthy targets cannot be enabled for target groups with the protocol '{}'",
            group.protocol.wire()
        )));
    }
    if terminates && set.get(UNHEALTHY_DRAINING).is_some_and(|value| value != "0") {
        return Err(Error::InvalidConfiguration(format!(
            "The value of '{UNHEALTHY_DRAINING}' can only be set where '{TERMINATE_UNHEALTHY}' is 'false'"
        )));
    }
    Ok(())
}

/// A listener's flows, for the plane; `None` where it takes requests.
#[must_use]
pub fn flow_listener(listener: &Listener) -> Option<FlowListener> {
    let protocol = match listener.protocol {
        Protocol::Http | Protocol::Https => return None,
        Protocol::Tcp => FlowProtocol::Tcp,
        Protocol::Udp => FlowProtocol::Udp,
        Protocol::TcpUdp => FlowProtocol::TcpUdp,
        Protocol::Tls => FlowProtocol::Tls,
    };
    let seconds = attributes::listener_number(listener, "tcp.idle_timeout.seconds");
    Some(FlowListener { protocol, tcp_idle_timeout: Duration::from_secs(seconds) })
}

/// A target group's flows, for the plane; `None` where it takes requests.
#[must_use]
pub fn flow_group(group: &TargetGroup) -> Option<FlowGroup> {
    if group.protocol.kind() == Kind::Application {
        return None;
    }
    let is = |key: &str| attributes::is_set(group, key);
    Some(FlowGroup {
        tls: group.protocol == Protocol::Tls,
        sticky: is("stickiness.enabled"),
        preserve_client_ip: is(PRESERVE),
        proxy_protocol_v2: is("proxy_protocol_v2.enabled"),
        terminate_deregistered: is(TERMINATE),
        terminate_unhealthy: is(TERMINATE_UNHEALTHY),
    })
}

/// A group's health check, for the plane.
#[must_use]
pub fn check(group: &TargetGroup) -> config::CheckProtocol {
    let check = &group.health_check;
    let (path, matcher) = (check.path.clone(), check.matcher.clone());
    match check.protocol {
        CheckProtocol::Http => config::CheckProtocol::Http { path, matcher },
        CheckProtocol::Https => config::CheckProtocol::Https { path, matcher },
        CheckProtocol::Tcp => config::CheckProtocol::Tcp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_listeners_forward_to_which_groups() {
        use Protocol::{Http, Https, Tcp, TcpUdp, Tls, Udp};
        for (listener, groups) in [
            (Http, &[Http, Https][..]),
            (Https, &[Http, Https]),
            (Tcp, &[Tcp, TcpUdp]),
            (Udp, &[Udp, TcpUdp]),
            (TcpUdp, &[TcpUdp]),
            (Tls, &[Tcp, Tls]),
        ] {
            for group in [Http, Https, Tcp, Udp, TcpUdp, Tls] {
                assert_eq!(listener.forwards_to(group), groups.contains(&group), "{listener:?} to {group:?}");
            }
        }
    }
}
