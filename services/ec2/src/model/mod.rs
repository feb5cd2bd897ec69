//! What is stored: one struct per resource.
//!
//! Wire shapes are never stored. Newer fields carry a serde default, so that older records are read.

mod instance;
mod interface;
mod misc;
mod network;

pub use instance::{Failure, Instance, InstanceState, MetadataOptions, StateReason, Status, Trouble};
pub use interface::{ElasticAddress, Interface, InterfaceAttachment, InterfacePhase, PublicAddress};
pub use misc::{
    Image, ImageState, KeyPair, LaunchTemplate, Settings, Snapshot, SnapshotState, StatusChecks, TemplateVersion,
    Volume, ZoneOutage,
};
pub use network::{
    Acl, AclAssociation, AclRule, GroupRule, InternetGateway, Peer, Route, RouteTable, RouteTableAssociation, RouteVia,
    SecurityGroup, Subnet, Vpc,
};

/// The root device of what was stored before images differed in it.
fn xvda() -> String {
    "/dev/xvda".to_owned()
}
