//! Route tables, their routes and associations.

use super::{Answer, Selection, cidr, filters, json, one, shown, specified, tag_list, text};
use crate::errors::Error;
use crate::model::{InternetGateway, Route, RouteTable, RouteTableAssociation, RouteVia};
use crate::shapes::{self, *};
use ipnet::Ipv4Net;
use zonal_cloud::{Tx, View};

/// The words in "does not exist".
pub(crate) const UNKNOWN: (&str, &str) = ("InvalidRouteTableID.NotFound", "routeTable");

fn check_id(id: &str) -> Result<(), Error> {
    Error::check_form(id, "rtb-", "InvalidRouteTableId.Malformed")
}

fn table<'a>(view: &View<'a>, id: &str) -> Result<&'a RouteTable, Error> {
    check_id(id)?;
    view.get::<RouteTable>(id).ok_or_else(|| Error::not_found(UNKNOWN.0, UNKNOWN.1, id))
}

/// The table that a subnet uses: its own, or its VPC's main one.
pub(crate) fn table_of<'a>(view: &View<'a>, vpc: &str, subnet: &str) -> Option<&'a RouteTable> {
    let of_vpc = || view.list::<RouteTable>().filter(|table| table.vpc == vpc);
    let own = of_vpc().find(|table| table.associations.iter().any(|a| a.subnet.as_deref() == Some(subnet)));
    own.or_else(|| of_vpc().find(|table| table.is_main()))
}

pub(crate) fn add_to_main(tx: &mut Tx<'_>, vpc: &str, gateway: &str) {
    let main = tx.list::<RouteTable>().find(|table| table.vpc == vpc && table.is_main()).map(|table| table.id.clone());
    if let Some(main) = main {
        let route = Route { destination: Ipv4Net::default(), via: RouteVia::Gateway(gateway.to_owned()) };
        tx.update::<RouteTable, _>(&main, |table| table.routes.push(route));
    }
}

pub fn create(tx: &mut Tx<'_>, input: &CreateRouteTableRequest) -> Answer<CreateRouteTableResult> {
    super::vpcs::vpc(&tx.view(), &input.vpc_id)?;
    let tags = specified(tx, &input.tag_specifications, "route-table", &["route-table"])?;
    let table =
        RouteTable { id: tx.id("rtb-"), vpc: input.vpc_id.clone(), associations: Vec::new(), routes: Vec::new(), tags };
    tx.put(table.clone());
    Ok(CreateRouteTableResult {
        route_table: Some(shape(&tx.view(), &table)),
        client_token: input.client_token.clone(),
        ..Default::default()
    })
}

pub fn describe(view: &View<'_>, input: &DescribeRouteTablesRequest) -> Answer<DescribeRouteTablesResult> {
    input.route_table_ids.iter().try_for_each(|id| check_id(id))?;
    let selection = Selection {
        ids: &input.route_table_ids,
        filters: &input.filters,
        names: filters::ROUTE_TABLES,
        token: input.next_token.as_deref(),
        limit: input.max_results,
        unknown: UNKNOWN,
    };
    let (tables, next_token) = selection.of(
        view.among::<RouteTable>(&input.route_table_ids),
        |table| &table.id,
        |table| &table.tags,
        |table, name| match name {
            "route-table-id" | "association.route-table-id" => one(&table.id),
            "vpc-id" => one(&table.vpc),
            "owner-id" => one(&view.scope.account),
            "association.main" => Some(table.associations.iter().map(|a| a.subnet.is_none().to_string()).collect()),
            "association.subnet-id" => Some(table.associations.iter().filter_map(|a| a.subnet.clone()).collect()),
            "association.route-table-association-id" => Some(table.associations.iter().map(|a| a.id.clone()).collect()),
            "route.destination-cidr-block" => {
                Some(table.routes.iter().map(|route| route.destination.to_string()).collect())
            }
            "route.gateway-id" => {
                Some(table.routes.iter().map(|Route { via: RouteVia::Gateway(id), .. }| id.clone()).collect())
            }
            "route.state" => {
                Some(table.routes.iter().map(|route| state(view, table, route).as_str().to_owned()).collect())
            }
            "route.origin" => Some(vec!["CreateRouteTable".to_owned(), "CreateRoute".to_owned()]),
            _ => None,
        },
        |table| json(&shape(view, table)),
    )?;
    let route_tables = tables.into_iter().map(|table| shape(view, table)).collect();
    Ok(DescribeRouteTablesResult { route_tables, next_token, ..Default::default() })
}

/// A route through a gateway that is gone, or attached elsewhere, is a black hole.
pub(crate) fn is_active(view: &View<'_>, table: &RouteTable, route: &Route) -> bool {
    let RouteVia::Gateway(gateway) = &route.via;
    view.get::<InternetGateway>(gateway).is_some_and(|gateway| gateway.vpc.as_ref() == Some(&table.vpc))
}

fn state(view: &View<'_>, table: &RouteTable, route: &Route) -> RouteState {
    if is_active(view, table, route) { RouteState::Active } else { RouteState::Blackhole }
}

fn shape(view: &View<'_>, table: &RouteTable) -> shapes::RouteTable {
    let local = view.get::<crate::model::Vpc>(&table.vpc).map(|vpc| shapes::Route {
        destination_cidr_block: shown(vpc.cidr),
        gateway_id: text("local"),
        origin: Some(RouteOrigin::CreateRouteTable),
        state: Some(RouteState::Active),
        ..Default::default()
    });
    let others = table.routes.iter().map(|route| {
        let RouteVia::Gateway(gateway) = &route.via;
        shapes::Route {
            destination_cidr_block: shown(route.destination),
            gateway_id: text(gateway),
            origin: Some(RouteOrigin::CreateRoute),
            state: Some(state(view, table, route)),
            ..Default::default()
        }
    });
    let associations = table.associations.iter().map(|association| shapes::RouteTableAssociation {
        route_table_association_id: text(&association.id),
        route_table_id: text(&table.id),
        subnet_id: association.subnet.clone(),
        main: Some(association.subnet.is_none()),
        association_state: Some(RouteTableAssociationState {
            state: Some(RouteTableAssociationStateCode::Associated),
            ..Default::default()
        }),
        ..Default::default()
    });
    shapes::RouteTable {
        route_table_id: text(&table.id),
        vpc_id: text(&table.vpc),
        owner_id: text(&*view.scope.account),
        routes: local.into_iter().chain(others).collect(),
        associations: associations.collect(),
        tags: tag_list(&table.tags),
        ..Default::default()
    }
}

pub fn delete(tx: &mut Tx<'_>, input: &DeleteRouteTableRequest) -> Answer<DeleteRouteTableOutput> {
    let id = &input.route_table_id;
    if !table(&tx.view(), id)?.associations.is_empty() {
        return Err(Error::DependencyViolation("routeTable", id.clone()).into());
    }
    tx.remove::<RouteTable>(id);
    Ok(DeleteRouteTableOutput::default())
}

/// What a route is to lead through: an internet gateway is what there is so far.
struct Target<'a> {
    gateway: Option<&'a String>,
    others: &'a [(&'static str, &'a Option<String>)],
}

impl Target<'_> {
    fn via(&self, view: &View<'_>) -> Result<RouteVia, Error> {
        if let Some((name, _)) = self.others.iter().find(|(_, given)| given.is_some()) {
            return Err(Error::Coded("UnsupportedOperation", format!("Routes through {name} are not supported yet.")));
        }
        let Some(id) = self.gateway else { return Err(Error::MissingParameter("GatewayId".to_owned())) };
        if view.get::<InternetGateway>(id).is_none() {
            return Err(Error::not_found("InvalidGatewayID.NotFound", "gateway", id));
        }
        Ok(RouteVia::Gateway(id.clone()))
    }
}

fn destination(given: Option<&String>) -> Answer<Ipv4Net> {
    match given {
        Some(given) => cidr(given, "destinationCidrBlock"),
        None => Err(Error::MissingParameter("DestinationCidrBlock".to_owned()).into()),
    }
}

pub fn create_route(tx: &mut Tx<'_>, input: &CreateRouteRequest) -> Answer<CreateRouteResult> {
    let table = table(&tx.view(), &input.route_table_id)?.clone();
    let destination = destination(input.destination_cidr_block.as_ref())?;
    let others = [
        ("a NAT gateway", &input.nat_gateway_id),
        ("an instance", &input.instance_id),
        ("a network interface", &input.network_interface_id),
        ("a transit gateway", &input.transit_gateway_id),
        ("a VPC peering connection", &input.vpc_peering_connection_id),
        ("a VPC endpoint", &input.vpc_endpoint_id),
    ];
    let via = Target { gateway: input.gateway_id.as_ref(), others: &others }.via(&tx.view())?;
    must_be_near(&tx.view(), &table, &via)?;
    let local = tx.get::<crate::model::Vpc>(&table.vpc).is_some_and(|vpc| vpc.cidr == destination);
    match table.routes.iter().find(|route| route.destination == destination) {
        Some(route) if route.via == via => {}
        Some(_) => {
            let text = format!("The route identified by {destination} already exists.");
            return Err(Error::Coded("RouteAlreadyExists", text).into());
        }
        None if local => {
            let text = format!("The route identified by {destination} already exists.");
            return Err(Error::Coded("RouteAlreadyExists", text).into());
        }
        None => {
            tx.update::<RouteTable, _>(&table.id, |table| table.routes.push(Route { destination, via }));
        }
    }
    Ok(CreateRouteResult { return_: Some(true), ..Default::default() })
}

/// A gateway is attached to the VPC of the table that leads to it.
fn must_be_near(view: &View<'_>, table: &RouteTable, via: &RouteVia) -> Result<(), Error> {
    let RouteVia::Gateway(id) = via;
    if view.get::<InternetGateway>(id).and_then(|gateway| gateway.vpc.as_ref()) == Some(&table.vpc) {
        return Ok(());
    }
    let text = format!("route table {} and network gateway {id} belong to different networks", table.id);
    Err(Error::InvalidParameterValue(text))
}

pub fn replace_route(tx: &mut Tx<'_>, input: &ReplaceRouteRequest) -> Answer<ReplaceRouteOutput> {
    let table = table(&tx.view(), &input.route_table_id)?.clone();
    let destination = destination(input.destination_cidr_block.as_ref())?;
    let others = [
        ("a NAT gateway", &input.nat_gateway_id),
        ("an instance", &input.instance_id),
        ("a network interface", &input.network_interface_id),
    ];
    let via = Target { gateway: input.gateway_id.as_ref(), others: &others }.via(&tx.view())?;
    must_be_near(&tx.view(), &table, &via)?;
    let replaced = tx.update::<RouteTable, _>(&input.route_table_id, |table| {
        table.routes.iter_mut().find(|route| route.destination == destination).map(|route| route.via = via).is_some()
    });
    if replaced != Some(true) {
        return Err(no_route(&input.route_table_id, destination).into());
    }
    Ok(ReplaceRouteOutput::default())
}

pub fn delete_route(tx: &mut Tx<'_>, input: &DeleteRouteRequest) -> Answer<DeleteRouteOutput> {
    let own = table(&tx.view(), &input.route_table_id)?.clone();
    let destination = destination(input.destination_cidr_block.as_ref())?;
    if tx.get::<crate::model::Vpc>(&own.vpc).is_some_and(|vpc| vpc.cidr == destination) {
        let text = format!("cannot remove local route {destination} in route table {}", own.id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    let removed = tx.update::<RouteTable, _>(&input.route_table_id, |table| {
        let before = table.routes.len();
        table.routes.retain(|route| route.destination != destination);
        table.routes.len() < before
    });
    if removed != Some(true) {
        return Err(no_route(&input.route_table_id, destination).into());
    }
    Ok(DeleteRouteOutput::default())
}

fn no_route(table: &str, destination: Ipv4Net) -> Error {
    let text = format!("no route with destination-cidr-block {destination} in route table {table}");
    Error::Coded("InvalidRoute.NotFound", text)
}

pub fn associate(tx: &mut Tx<'_>, input: &AssociateRouteTableRequest) -> Answer<AssociateRouteTableResult> {
    let table = table(&tx.view(), &input.route_table_id)?.clone();
    let Some(subnet) = &input.subnet_id else { return Err(Error::MissingParameter("SubnetId".to_owned()).into()) };
    if super::subnets::subnet(&tx.view(), subnet)?.vpc != table.vpc {
        let text = format!("Route table {} and subnet {subnet} belong to different networks", table.id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    if let Some(own) = table.associations.iter().find(|association| association.subnet.as_ref() == Some(subnet)) {
        return Ok(associated(&own.id));
    }
    let elsewhere =
        tx.list::<RouteTable>().any(|other| other.associations.iter().any(|a| a.subnet.as_ref() == Some(subnet)));
    if elsewhere {
        let text =
            format!("the specified association for route table {} conflicts with an existing association", table.id);
        return Err(Error::Coded("Resource.AlreadyAssociated", text).into());
    }
    let id = tx.id("rtbassoc-");
    let association = RouteTableAssociation { id: id.clone(), subnet: Some(subnet.clone()) };
    tx.update::<RouteTable, _>(&table.id, |table| table.associations.push(association));
    Ok(associated(&id))
}

fn associated(id: &str) -> AssociateRouteTableResult {
    AssociateRouteTableResult {
        association_id: text(id),
        association_state: Some(RouteTableAssociationState {
            state: Some(RouteTableAssociationStateCode::Associated),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn association(tx: &Tx<'_>, id: &str) -> Result<(String, RouteTableAssociation), Error> {
    let found = tx.list::<RouteTable>().find_map(|table| {
        table.associations.iter().find(|association| association.id == id).map(|own| (table.id.clone(), own.clone()))
    });
    found.ok_or_else(|| {
        let text = format!("The association ID '{id}' does not exist");
        Error::Coded("InvalidAssociationID.NotFound", text)
    })
}

pub fn disassociate(tx: &mut Tx<'_>, input: &DisassociateRouteTableRequest) -> Answer<DisassociateRouteTableOutput> {
    let (table, own) = association(tx, &input.association_id)?;
    if own.subnet.is_none() {
        let text = "cannot disassociate the main route table association";
        return Err(Error::InvalidParameterValue(format!("{text} {}", own.id)).into());
    }
    tx.update::<RouteTable, _>(&table, |table| table.associations.retain(|association| association.id != own.id));
    Ok(DisassociateRouteTableOutput::default())
}

pub fn replace_association(
    tx: &mut Tx<'_>,
    input: &ReplaceRouteTableAssociationRequest,
) -> Answer<ReplaceRouteTableAssociationResult> {
    let (old, own) = association(tx, &input.association_id)?;
    let new = table(&tx.view(), &input.route_table_id)?;
    if tx.get::<RouteTable>(&old).is_some_and(|old| old.vpc != new.vpc) {
        let text = format!("Route table {} and the association {} belong to different networks", new.id, own.id);
        return Err(Error::InvalidParameterValue(text).into());
    }
    let id = tx.id("rtbassoc-");
    tx.update::<RouteTable, _>(&old, |table| table.associations.retain(|association| association.id != own.id));
    let new = RouteTableAssociation { id: id.clone(), subnet: own.subnet };
    tx.update::<RouteTable, _>(&input.route_table_id, |table| table.associations.push(new));
    Ok(ReplaceRouteTableAssociationResult {
        new_association_id: text(id),
        association_state: Some(RouteTableAssociationState {
            state: Some(RouteTableAssociationStateCode::Associated),
            ..Default::default()
        }),
        ..Default::default()
    })
}
