//! Attributes of network load balancers, their target groups and listeners.

use super::Takes::{Bool, Number, NumberOr, OneOf, Text};
use super::{CROSS_ZONE, FAILOVER, FAILOVER_PERCENTAGE, MINIMUM, MINIMUM_PERCENTAGE, Table};

use crate::network::{TERMINATE_UNHEALTHY, UNHEALTHY_DRAINING};

/// Of a network load balancer.
pub(super) const BALANCER: Table = &[
    ("access_logs.s3.enabled", "false", Bool),
    ("access_logs.s3.bucket", "", Text),
    ("access_logs.s3.prefix", "", Text),
    ("deletion_protection.enabled", "false", Bool),
    (
        "dns_record.client_routing_policy",
        "any_availability_zone",
        OneOf(&["any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"]),
    ),
    ("ipv6.deny_all_igw_traffic", "false", Bool),
    (CROSS_ZONE, "false", Bool),
    ("zonal_shift.config.enabled", "false", Bool),
];

/// Of a target group of a network load balancer.
pub(super) const GROUP: Table = &[
    ("deregistration_delay.connection_termination.enabled", "false", Bool),
    ("deregistration_delay.timeout_seconds", "300", Number(0, 3600)),
    (CROSS_ZONE, "use_load_balancer_configuration", OneOf(&["true", "false", "use_load_balancer_configuration"])),
    ("preserve_client_ip.enabled", "false", Bool),
    ("proxy_protocol_v2.enabled", "false", Bool),
    ("stickiness.enabled", "false", Bool),
    ("stickiness.type", "source_ip", OneOf(&["source_ip"])),
    (FAILOVER, "1", NumberOr("off", 1, 1000)),
    (FAILOVER_PERCENTAGE, "off", NumberOr("off", 1, 100)),
    (MINIMUM, "1", Number(1, 1000)),
    (MINIMUM_PERCENTAGE, "off", NumberOr("off", 1, 100)),
    (TERMINATE_UNHEALTHY, "true", Bool),
    (UNHEALTHY_DRAINING, "0", Number(0, 360_000)),
];

/// Of a listener of connections of a network load balancer; one of datagrams or TLS has none.
pub(super) const LISTENER: Table = &[("tcp.idle_timeout.seconds", "350", Number(60, 6000))];
