//! CIDR collections. Source: Route 53 API reference, `CreateCidrCollection`, `ChangeCidrCollection` and the actions beside them;
//! Developer Guide, "IP-based routing".

use super::{globally, max_items, seen_globally};
use crate::errors::{Error, invalid};
use crate::model::{CidrCollection, RecordSet};
use crate::shapes::{
    ChangeCidrCollectionRequest, ChangeCidrCollectionResponse, CidrBlockSummary, CidrCollection as WireCollection,
    CidrCollectionChangeAction, CollectionSummary, CreateCidrCollectionRequest, CreateCidrCollectionResponse,
    DeleteCidrCollectionRequest, DeleteCidrCollectionResponse, ListCidrBlocksRequest, ListCidrBlocksResponse,
    ListCidrCollectionsRequest, ListCidrCollectionsResponse, ListCidrLocationsRequest, ListCidrLocationsResponse,
    LocationSummary,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use zonal_cloud::{Tx, View, ids, pages};
use zonal_wire::AwsError;

/// Collections per account, and blocks per collection, as AWS's default quotas have it.
const COLLECTIONS: usize = 5;
const BLOCKS: usize = 1000;

/// The name of all clients that are in no other location.
pub(crate) const DEFAULT: &str = "*";

/// The collection of that id.
pub(crate) fn collection<'a>(view: &View<'a>, id: &str) -> Result<&'a CidrCollection, Error> {
    view.get::<CidrCollection>(id).ok_or_else(|| Error::NoSuchCidrCollection(id.to_owned()))
}

/// `CreateCidrCollection`
pub fn create(tx: &mut Tx<'_>, input: &CreateCidrCollectionRequest) -> Result<CreateCidrCollectionResponse, AwsError> {
    let is_name = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
    if !is_name(&input.name) {
        return Err(invalid(format!("Invalid parameter : Name {} is not valid", input.name)).into());
    }
    globally(tx, |tx| {
        let is_known =
            |other: &&CidrCollection| other.caller_reference == input.caller_reference || other.name == input.name;
        if let Some(known) = tx.list::<CidrCollection>().find(is_known) {
            // Who tries again is answered as the first time.
            if known.caller_reference == input.caller_reference && known.name == input.name {
                return Ok(created(known));
            }
            return Err(Error::CidrCollectionAlreadyExists(input.name.clone()).into());
        }
        if tx.list::<CidrCollection>().count() >= COLLECTIONS {
            return Err(Error::LimitsExceeded("MAX_CIDR_COLLECTIONS_BY_OWNER".to_owned()).into());
        }
        let made = CidrCollection {
            id: ids::uuid(tx.chance()),
            name: input.name.clone(),
            caller_reference: input.caller_reference.clone(),
            version: 1,
            locations: BTreeMap::new(),
        };
        let answer = created(&made);
        tx.put(made);
        Ok(answer)
    })
}

fn created(made: &CidrCollection) -> CreateCidrCollectionResponse {
    let collection = WireCollection {
        arn: Some(made.arn()),
        id: Some(made.id.clone()),
        name: Some(made.name.clone()),
        version: Some(made.version),
    };
    let location = format!("https://route53.amazonaws.com/2013-04-01/cidrcollection/{}", made.id);
    CreateCidrCollectionResponse { collection: Some(collection), location: Some(location) }
}

/// `ChangeCidrCollection`: all of the changes or none.
pub fn change(tx: &mut Tx<'_>, input: &ChangeCidrCollectionRequest) -> Result<ChangeCidrCollectionResponse, AwsError> {
    globally(tx, |tx| {
        let old = collection(&tx.view(), &input.id)?.clone();
        if input.collection_version.is_some_and(|version| version != old.version) {
            return Err(Error::CidrCollectionVersionMismatch(old.version).into());
        }
        let mut locations = old.locations.clone();
        for change in &input.changes {
            let name = &change.location_name;
            if !name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-')) {
                return Err(invalid(format!("Invalid parameter : LocationName {name} is not valid")).into());
            }
            let blocks = change.cidr_list.iter().map(|block| normal(block)).collect::<Result<BTreeSet<_>, _>>()?;
            match change.action {
                CidrCollectionChangeAction::Put => {
                    let elsewhere = |block: &&String| {
                        locations.iter().any(|(other, blocks)| other != name && blocks.contains(*block))
                    };
                    if let Some(block) = blocks.iter().find(elsewhere) {
                        return Err(Error::CidrBlockInUse(block.clone()).into());
                    }
                    locations.entry(name.clone()).or_default().extend(blocks);
                }
                CidrCollectionChangeAction::DeleteIfExists => {
                    if let Some(own) = locations.get_mut(name) {
                        own.retain(|block| !blocks.contains(block));
                    }
                }
            }
        }
        locations.retain(|_, blocks| !blocks.is_empty());
        if locations.values().map(BTreeSet::len).sum::<usize>() > BLOCKS {
            return Err(Error::LimitsExceeded("MAX_CIDR_BLOCKS_BY_COLLECTION".to_owned()).into());
        }
        tx.put(CidrCollection { version: old.version + 1, locations, ..old });
        Ok(ChangeCidrCollectionResponse { id: ids::uuid(tx.chance()) })
    })
}

/// A block as it is compared: IPv4 of up to 24 bits, IPv6 of up to 48, none set beyond them.
fn normal(text: &str) -> Result<String, Error> {
    let read = || {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let (value, width, most) = match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32, 24),
            IpAddr::V6(v6) => (v6.to_bits(), 128, 48),
        };
        let fits = (1..=most).contains(&bits) && bits <= width && value.checked_shl(bits).unwrap_or(0) == 0;
        fits.then(|| format!("{address}/{bits}"))
    };
    read().ok_or_else(|| invalid(format!("Invalid parameter : CIDR block {text} is not valid")))
}

/// `DeleteCidrCollection`: an empty one that no record set names.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteCidrCollectionRequest) -> Result<DeleteCidrCollectionResponse, AwsError> {
    globally(tx, |tx| {
        let found = collection(&tx.view(), &input.id)?.clone();
        if !found.locations.is_empty() || tx.owned_by::<RecordSet>(&found.id).next().is_some() {
            return Err(Error::CidrCollectionInUse(found.id).into());
        }
        tx.remove::<CidrCollection>(&found.id);
        Ok(DeleteCidrCollectionResponse {})
    })
}

/// `ListCidrCollections`
pub fn list(view: &View<'_>, input: &ListCidrCollectionsRequest) -> Result<ListCidrCollectionsResponse, AwsError> {
    let most = max_items(input.max_results.as_deref(), 100)?;
    seen_globally(view, |view| {
        let items = view.list::<CidrCollection>().map(|found| {
            let summary = CollectionSummary {
                arn: Some(found.arn()),
                id: Some(found.id.clone()),
                name: Some(found.name.clone()),
                version: Some(found.version),
            };
            (found.id.clone(), summary)
        });
        let (cidr_collections, next_token) =
            pages::page(items, input.next_token.as_deref(), Some(most)).map_err(|_| Error::InvalidPaginationToken)?;
        Ok(ListCidrCollectionsResponse { next_token, cidr_collections })
    })
}

/// `ListCidrLocations`
pub fn locations(view: &View<'_>, input: &ListCidrLocationsRequest) -> Result<ListCidrLocationsResponse, AwsError> {
    let most = max_items(input.max_results.as_deref(), 100)?;
    seen_globally(view, |view| {
        let names = collection(view, &input.collection_id)?.locations.keys();
        let items = names.map(|name| (name.clone(), LocationSummary { location_name: Some(name.clone()) }));
        let (cidr_locations, next_token) =
            pages::page(items, input.next_token.as_deref(), Some(most)).map_err(|_| Error::InvalidPaginationToken)?;
        Ok(ListCidrLocationsResponse { next_token, cidr_locations })
    })
}

/// `ListCidrBlocks`
pub fn blocks(view: &View<'_>, input: &ListCidrBlocksRequest) -> Result<ListCidrBlocksResponse, AwsError> {
    let most = max_items(input.max_results.as_deref(), 100)?;
    seen_globally(view, |view| {
        let found = collection(view, &input.collection_id)?;
        if let Some(name) = input.location_name.as_ref().filter(|name| !found.locations.contains_key(*name)) {
            return Err(Error::NoSuchCidrLocation(name.clone()).into());
        }
        let wanted = |name: &&String| input.location_name.as_ref().is_none_or(|own| own == *name);
        let all = found.locations.iter().filter(|(name, _)| wanted(name));
        let items = all.flat_map(|(name, blocks)| {
            blocks.iter().map(move |block| {
                let summary = CidrBlockSummary { cidr_block: Some(block.clone()), location_name: Some(name.clone()) };
                (format!("{name} {block}"), summary)
            })
        });
        let (cidr_blocks, next_token) =
            pages::page(items, input.next_token.as_deref(), Some(most)).map_err(|_| Error::InvalidPaginationToken)?;
        Ok(ListCidrBlocksResponse { next_token, cidr_blocks })
    })
}
