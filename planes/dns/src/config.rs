//! What the control plane tells the DNS plane: views of zones of record sets, as plain structs.
//!
//! Values are Route 53's presentation text (`"10 mail.example.com"`, `"\"v=spf1 -all\""`); names are absolute with or
//! without the final dot, and may hold Route 53's octal escapes (`\052.example.com` is the wildcard).

use serde::{Deserialize, Serialize};

/// The view that everybody sees.
pub const PUBLIC: &str = "public";

/// All that a DNS plane serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsConfig {
    /// The commit this configuration is of; an older one than that applied is refused.
    pub revision: u64,
    /// The public view, and one for each VPC that has names of its own.
    pub views: Vec<View>,
    /// Where clients are, beside what the address registries say of continents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
}

/// A set of zones that are seen together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// [`PUBLIC`], or the id of a VPC.
    pub name: String,
    /// Its zones. Of two with one name the later wins: it is the control plane that says which zone a name is delegated to.
    pub zones: Vec<Zone>,
}

/// A hosted zone, or one that the control plane makes up (`ec2.internal`, `us-east-1.elb.amazonaws.com`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The apex.
    pub name: String,
    /// Whether names that this zone lacks are looked for in shorter zones and in the public view. A private hosted zone hides
    /// the whole of its domain, so it is no overlay; the private side of split-horizon names is.
    #[serde(default)]
    pub overlay: bool,
    /// The record sets, in any order.
    pub records: Vec<RecordSet>,
}

/// A resource record set of Route 53: one name and type, and, where a routing policy makes several of them, one
/// identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSet {
    /// The owner.
    pub name: String,
    /// Any that Route 53 has: `A`, `AAAA`, `CAA`, `CNAME`, `DS`, `HTTPS`, `MX`, `NAPTR`, `NS`, `PTR`, `SOA`, `SPF`, `SRV`, `SSHFP`,
    /// `SVCB`, `TLSA` or `TXT`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Seconds, as served. An alias takes its target's.
    #[serde(default)]
    pub ttl: u32,
    /// One text per record. Empty for an alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Where the values are to be taken from at the time of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
    /// How this set is chosen among those of its name and type.
    #[serde(default)]
    pub policy: Policy,
    /// What tells apart sets of one name and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_identifier: Option<String>,
    /// What health checks say of it. Without a health check: healthy.
    #[serde(default)]
    pub health: Health,
}

/// An alias: the answer is the target's record set of the type asked for, under the alias's own name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// A name in the same view or in the public one.
    pub target_name: String,
    /// Whether the alias is healthy only while one of its target's record sets is.
    #[serde(default)]
    pub evaluate_target_health: bool,
}

/// The routing policies of Route 53. Where a client is, is said by EDNS client subnet or its address, and a table ([`Place`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// All values, in an order that changes.
    #[default]
    Simple,
    /// Up to eight of the healthy sets.
    Multivalue,
    /// One set, with a chance of its weight among all weights.
    Weighted {
        /// 0 to 255. All zero means all alike.
        weight: u8,
    },
    /// This set as long as it is healthy.
    FailoverPrimary,
    /// This set when the primary is not healthy.
    FailoverSecondary,
    /// The set whose region is nearest in time.
    Latency {
        /// Such as `eu-west-1`.
        region: String,
    },
    /// The set of the smallest location that the client is in.
    Geolocation {
        /// The location.
        location: Location,
    },
    /// The set whose place is nearest, distances bent by a bias.
    Geoproximity {
        /// Where the resource is.
        origin: Origin,
        /// -99 to 99: above zero draws clients from further away.
        bias: i8,
    },
    /// The set that has the longest prefix of the client's address.
    Cidr {
        /// Such as `192.0.2.0/24`. Nothing makes it the one for all other clients.
        blocks: Option<Vec<String>>,
    },
}

/// A part of the world that a geolocation record set is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// Everywhere that no other set is for, and whoever cannot be placed.
    Default,
    /// `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    Continent(String),
    /// Two letters of ISO 3166.
    Country(String),
    /// A part of a country: the country and the part's own code.
    Subdivision(String, String),
}

/// Where a resource of a geoproximity record set is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// In a region.
    Region(String),
    /// At these coordinates.
    Point(Point),
}

/// Coordinates, in hundredths of a degree: the precision that Route 53 takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// North of the equator.
    pub latitude: i32,
    /// East of Greenwich.
    pub longitude: i32,
}

/// Where the clients with one prefix are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Such as `192.0.2.0/24` or `2001:db8::/32`.
    pub prefix: String,
    /// As in [`Location::Continent`].
    pub continent: String,
    /// As in [`Location::Country`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// As in [`Location::Subdivision`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
    /// Their coordinates.
    pub point: Point,
}

/// Whether a record set may be handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It may.
    #[default]
    Healthy,
    /// Only when no other is healthy either.
    Unhealthy,
}

/// A health check from outside: connections, one after the other, to where an endpoint says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The health check's id.
    pub id: String,
    /// An address, or a public name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// What has to come back.
    pub check: Check,
    /// Seconds between two connections.
    pub interval: u32,
    /// How many in a row say another thing than before until it counts.
    pub threshold: u32,
}

/// What makes a probe succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The connection.
    Tcp,
    /// An answer of 2xx or 3xx.
    Http {
        /// The path asked for.
        path: String,
        /// The `Host` header, where it is not the host connected to.
        host: Option<String>,
        /// What the first 5,120 octets of its body have to hold.
        search: Option<String>,
        /// Whether it is asked over TLS.
        #[serde(default)]
        tls: Option<Tls>,
    },
}

/// How a probe speaks TLS. The certificate is not validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// The name that the endpoint is told it is wanted under (SNI).
    pub server_name: Option<String>,
}

/// A step from one configuration to the next, so that a change costs the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Adds a zone, or replaces the whole of it. The view is made where there is none.
    PutZone {
        /// The view.
        view: String,
        /// The zone.
        zone: Zone,
    },
    /// Removes a zone. That it was not there is no error.
    RemoveZone {
        /// The view.
        view: String,
        /// The zone's apex.
        zone: String,
    },
    /// Says all record sets of one name in a zone; none removes the name.
    PutName {
        /// The view.
        view: String,
        /// The zone's apex.
        zone: String,
        /// The owner that all of `records` have.
        name: String,
        /// Its record sets.
        records: Vec<RecordSet>,
    },
    /// Removes a view with all its zones, as when a VPC is deleted.
    RemoveView {
        /// The view.
        view: String,
    },
    /// Says where clients are, whole.
    PutPlaces(Vec<Place>),
}
