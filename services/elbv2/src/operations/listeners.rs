//! Listeners. Source: Elastic Load Balancing API reference, `CreateListener` and the actions that name it.

use super::certificates::{self, Given};
use super::load_balancers::remove_listener;
use super::{balancer, balancer_of_group, group, listener, merge_tags, new_id, page};
use crate::albs;
use crate::attributes;
use crate::errors::{Error, invalid};
use crate::model::{Kind, Listener, LoadBalancer, Protocol, Rule, Version};
use crate::rules::{Act, Action, action_of};
use crate::shapes::{
    Certificate, CreateListenerInput, CreateListenerOutput, DeleteListenerInput, DeleteListenerOutput,
    DescribeListenerAttributesInput, DescribeListenerAttributesOutput, DescribeListenersInput, DescribeListenersOutput,
    Listener as WireListener, ListenerAttribute, ModifyListenerAttributesInput, ModifyListenerAttributesOutput,
    ModifyListenerInput, ModifyListenerOutput, MutualAuthenticationAttributes, ProtocolEnum,
};
use zonal_cloud::tags::Tags;
use zonal_cloud::{Tx, View};
use zonal_wire::AwsError;

/// Listeners per load balancer, as AWS's default quota has it.
const QUOTA: usize = 50;

/// `CreateListener`
pub fn create(tx: &mut Tx<'_>, input: &CreateListenerInput) -> Result<CreateListenerOutput, AwsError> {
    let found = balancer(&tx.view(), &input.load_balancer_arn)?;
    let (balancer_arn, kind) = (found.arn.clone(), found.kind);
    let wire = input.protocol.ok_or_else(|| invalid("A protocol must be specified"))?;
    let protocol = protocol_of(kind, wire)?;
    refuse_mutual(input.mutual_authentication.as_ref())?;
    let given =
        Given { policy: input.ssl_policy.as_deref(), certificates: &input.certificates, alpn: &input.alpn_policy };
    let tls = certificates::settings(&tx.view(), protocol, &given, None)?;
    let port = port_of(input.port)?.ok_or_else(|| invalid("A port must be specified"))?;
    let default_action = action_of(&input.default_actions)?;
    let mut tags = Tags::new();
    merge_tags(&mut tags, &input.tags, tx.caller.is_service())?;
    let same = |other: &&Listener| {
        other.balancer == balancer_arn
            && (other.protocol, other.port) == (protocol, port)
            && (&other.tls, &other.default_action, &other.tags) == (&tls, &default_action, &tags)
    };
    // The same listener again is the one there is.
    if let Some(same) = tx.list::<Listener>().find(same) {
        return Ok(CreateListenerOutput { listeners: vec![shown(same)] });
    }
    check_port(&tx.view(), &balancer_arn, port, None)?;
    let own = LoadBalancer::keys_of_listeners(&balancer_arn);
    let count = tx.starting::<Listener>(own.clone()).count();
    if count >= QUOTA {
        let text = format!("The maximum number of listeners per load balancer is '{QUOTA}'");
        return Err(Error::TooMany { what: "TooManyListeners", text }.into());
    }
    check_action(&tx.view(), &balancer_arn, protocol, &default_action)?;
    let id = new_id(tx);
    let arn = format!("{}/{id}", balancer_arn.replacen(":loadbalancer/", ":listener/", 1));
    let attributes = crate::model::Attributes::new();
    let balancer = balancer_arn.clone();
    let record = Listener { arn, balancer: balancer_arn, protocol, port, tls, default_action, attributes, tags };
    let output = CreateListenerOutput { listeners: vec![shown(&record)] };
    tx.put(record);
    certificates::note_use(tx, &balancer);
    Ok(output)
}

/// The protocol of a listener of such a load balancer.
fn protocol_of(kind: Kind, wire: ProtocolEnum) -> Result<Protocol, Error> {
    Protocol::of(wire).filter(|protocol| protocol.kind() == kind).ok_or_else(|| {
        let own = match kind {
            Kind::Application => "HTTPS, HTTP",
            Kind::Network => "TLS, TCP, TCP_UDP, UDP",
        };
        invalid(format!("Listener protocol '{wire}' must be one of '{own}'"))
    })
}

/// Checks a listener's action: of flows there is only forwarding, and only to groups whose protocol goes with the listener's.
pub(super) fn check_action(view: &View<'_>, balancer: &str, protocol: Protocol, action: &Action) -> Result<(), Error> {
    if protocol.kind() == Kind::Network && !matches!(action.act, Act::Forward { .. }) {
        return Err(Error::InvalidAction(format!(
            "Listeners of protocol '{}' can only have actions of type 'forward'",
            protocol.wire()
        )));
    }
    if protocol == Protocol::Https && matches!(&action.act, Act::Redirect(redirect) if redirect.protocol == "HTTP") {
        let text = "Requests of HTTPS listeners cannot be redirected to the protocol 'HTTP'";
        return Err(Error::InvalidAction(text.into()));
    }
    check_groups(view, balancer, action)?;
    for arn in action.groups() {
        let found = group(view, arn)?;
        albs::check_listener(protocol, found)?;
        let own = found.protocol;
        if !protocol.forwards_to(own) {
            return Err(Error::IncompatibleProtocols(format!(
                "Listener protocol '{}' is not supported with a target group with the protocol '{}'",
                protocol.wire(),
                own.wire()
            )));
        }
        // Source: the guide's "Protocol version": only HTTPS listeners speak HTTP/2 with clients.
        if protocol == Protocol::Http && found.version != Version::Http1 {
            return Err(Error::InvalidConfiguration(format!(
                "Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{}'",
                found.version.wire()
            )));
        }
    }
    Ok(())
}

/// Clients' certificates are not asked for.
fn refuse_mutual(asked: Option<&MutualAuthenticationAttributes>) -> Result<(), Error> {
    match asked.and_then(|asked| asked.mode.as_deref()) {
        None | Some("off") => Ok(()),
        Some(mode) => Err(Error::Unsupported(format!("mutual authentication of mode '{mode}'; only 'off'"))),
    }
}

fn port_of(given: Option<i32>) -> Result<Option<u16>, Error> {
    let port = |port: i32| {
        u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| invalid("The port must be between 1 and 65535"))
    };
    given.map(port).transpose()
}

fn check_port(view: &View<'_>, balancer: &str, port: u16, except: Option<&str>) -> Result<(), Error> {
    let taken = view
        .starting::<Listener>(LoadBalancer::keys_of_listeners(balancer))
        .any(|other| other.port == port && Some(other.arn.as_str()) != except);
    if taken { Err(Error::DuplicateListener(balancer.to_owned())) } else { Ok(()) }
}

/// Checks that an action's target groups exist and serve no other load balancer.
fn check_groups(view: &View<'_>, balancer_arn: &str, action: &Action) -> Result<(), Error> {
    for arn in action.groups() {
        let found = group(view, arn)?;
        if balancer_of_group(view, arn).is_some_and(|other| other != balancer_arn) {
            return Err(Error::TargetGroupAssociationLimit(arn.to_owned()));
        }
        let vpc = &balancer(view, balancer_arn)?.vpc;
        if found.vpc != *vpc {
            return Err(Error::InvalidConfiguration(format!(
                "The following target groups are not in the load balancer's VPC '{vpc}': {arn}"
            )));
        }
    }
    Ok(())
}

/// `ModifyListener`
pub fn modify(tx: &mut Tx<'_>, input: &ModifyListenerInput) -> Result<ModifyListenerOutput, AwsError> {
    let mut changed = listener(&tx.view(), &input.listener_arn)?.clone();
    refuse_mutual(input.mutual_authentication.as_ref())?;
    if let Some(wire) = input.protocol {
        changed.protocol = protocol_of(changed.protocol.kind(), wire)?;
    }
    let given =
        Given { policy: input.ssl_policy.as_deref(), certificates: &input.certificates, alpn: &input.alpn_policy };
    changed.tls = certificates::settings(&tx.view(), changed.protocol, &given, changed.tls.as_ref())?;
    if let Some(port) = port_of(input.port)? {
        check_port(&tx.view(), &changed.balancer, port, Some(&changed.arn))?;
        changed.port = port;
    }
    if !input.default_actions.is_empty() {
        changed.default_action = action_of(&input.default_actions)?;
    }
    check_action(&tx.view(), &changed.balancer, changed.protocol, &changed.default_action)?;
    if input.protocol.is_some() {
        for rule in tx.starting::<Rule>(Listener::keys_of_rules(&changed.arn)) {
            check_action(&tx.view(), &changed.balancer, changed.protocol, &rule.action)?;
        }
    }
    let output = ModifyListenerOutput { listeners: vec![shown(&changed)] };
    let balancer = changed.balancer.clone();
    tx.put(changed);
    certificates::note_use(tx, &balancer);
    Ok(output)
}

/// `DeleteListener`
pub fn delete(tx: &mut Tx<'_>, input: &DeleteListenerInput) -> Result<DeleteListenerOutput, AwsError> {
    let found = listener(&tx.view(), &input.listener_arn)?;
    let (arn, balancer) = (found.arn.clone(), found.balancer.clone());
    remove_listener(tx, &arn);
    certificates::note_use(tx, &balancer);
    Ok(DeleteListenerOutput {})
}

/// `DescribeListeners`
pub fn describe(view: &View<'_>, input: &DescribeListenersInput) -> Result<DescribeListenersOutput, AwsError> {
    match (&input.load_balancer_arn, input.listener_arns.is_empty()) {
        (None, true) => return Err(invalid("You must specify either listener ARNs or a load balancer ARN").into()),
        (Some(_), false) => return Err(invalid("You cannot specify both listener ARNs and a load balancer ARN").into()),
        (Some(arn), true) => drop(balancer(view, arn)?),
        (None, false) => {}
    }
    for arn in &input.listener_arns {
        listener(view, arn)?;
    }
    let wanted = view.list::<Listener>().filter(|found| match &input.load_balancer_arn {
        Some(arn) => found.balancer == *arn,
        None => input.listener_arns.contains(&found.arn),
    });
    let items = wanted.map(|found| (found.arn.clone(), shown(found)));
    let (listeners, next_marker) = page(items, input.marker.as_deref(), input.page_size)?;
    Ok(DescribeListenersOutput { listeners, next_marker })
}

fn shown(listener: &Listener) -> WireListener {
    let default = listener
        .tls
        .as_ref()
        .map(|tls| Certificate { certificate_arn: Some(tls.default_certificate.clone()), is_default: None });
    WireListener {
        listener_arn: Some(listener.arn.clone()),
        load_balancer_arn: Some(listener.balancer.clone()),
        port: Some(i32::from(listener.port)),
        protocol: Some(listener.protocol.wire()),
        certificates: default.into_iter().collect(),
        ssl_policy: listener.tls.as_ref().map(|tls| tls.policy.clone()),
        alpn_policy: listener.tls.iter().filter_map(|tls| tls.alpn.clone()).collect(),
        default_actions: vec![listener.default_action.wire()],
        ..WireListener::default()
    }
}

/// `DescribeListenerAttributes`
pub fn describe_attributes(
    view: &View<'_>,
    input: &DescribeListenerAttributesInput,
) -> Result<DescribeListenerAttributesOutput, AwsError> {
    Ok(DescribeListenerAttributesOutput { attributes: attributes_of(listener(view, &input.listener_arn)?) })
}

/// `ModifyListenerAttributes`
pub fn modify_attributes(
    tx: &mut Tx<'_>,
    input: &ModifyListenerAttributesInput,
) -> Result<ModifyListenerAttributesOutput, AwsError> {
    let mut changed = listener(&tx.view(), &input.listener_arn)?.clone();
    let given = input.attributes.iter().map(|attribute| (attribute.key.clone(), attribute.value.clone()));
    attributes::set_listener(&mut changed, given)?;
    let attributes = attributes_of(&changed);
    tx.put(changed);
    Ok(ModifyListenerAttributesOutput { attributes })
}

fn attributes_of(listener: &Listener) -> Vec<ListenerAttribute> {
    let attribute = |(key, value)| ListenerAttribute { key: Some(key), value: Some(value) };
    attributes::of_listener(listener).map(attribute).collect()
}
