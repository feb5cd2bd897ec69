//! Parts of the world and their names. Source: Route 53 API reference, `ListGeoLocations`, `GetGeoLocation`.

use super::max_items;
use crate::errors::{Error, invalid};
use crate::geography::{DEFAULT, Part, parts, position};
use crate::shapes::{
    GeoLocationDetails, GetGeoLocationRequest, GetGeoLocationResponse, ListGeoLocationsRequest,
    ListGeoLocationsResponse,
};
use zonal_cloud::View;
use zonal_wire::AwsError;

/// `ListGeoLocations`
pub fn list(_: &View<'_>, input: &ListGeoLocationsRequest) -> Result<ListGeoLocationsResponse, AwsError> {
    let most = max_items(input.max_items.as_deref(), 100)?;
    let start = (
        input.start_continent_code.as_deref(),
        input.start_country_code.as_deref(),
        input.start_subdivision_code.as_deref(),
    );
    let first = match start {
        (None, None, None) => 0,
        start => position(start).ok_or_else(|| invalid("Invalid request: there is no such location to start from"))?,
    };
    let rest = &parts()[first..];
    let (continent, country, subdivision) = rest.get(most).map(|next| next.codes()).unwrap_or_default();
    let owned = |code: Option<&str>| code.map(ToOwned::to_owned);
    Ok(ListGeoLocationsResponse {
        geo_location_details_list: rest.iter().take(most).map(|part| details(*part)).collect(),
        is_truncated: rest.len() > most,
        next_continent_code: owned(continent),
        next_country_code: owned(country),
        next_subdivision_code: owned(subdivision),
        max_items: most.to_string(),
    })
}

/// `GetGeoLocation`: without codes it is the default.
pub fn get(_: &View<'_>, input: &GetGeoLocationRequest) -> Result<GetGeoLocationResponse, AwsError> {
    let codes =
        match (input.continent_code.as_deref(), input.country_code.as_deref(), input.subdivision_code.as_deref()) {
            (None, None, None) => (None, Some(DEFAULT), None),
            codes => codes,
        };
    let found = position(codes).ok_or(Error::NoSuchGeoLocation)?;
    Ok(GetGeoLocationResponse { geo_location_details: details(parts()[found]) })
}

fn details(part: Part) -> GeoLocationDetails {
    let mut wire = GeoLocationDetails::default();
    let owned = |text: &str| Some(text.to_owned());
    match part {
        Part::Continent(code, name) => (wire.continent_code, wire.continent_name) = (owned(code), owned(name)),
        Part::Country(code, name) => (wire.country_code, wire.country_name) = (owned(code), owned(name)),
        Part::Subdivision((country, country_name), (code, name)) => {
            (wire.country_code, wire.country_name) = (owned(country), owned(country_name));
            (wire.subdivision_code, wire.subdivision_name) = (owned(code), owned(name));
        }
    }
    wire
}
