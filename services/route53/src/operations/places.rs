//! Where record sets are for: parts of the world, and places in it. Source: Route 53 API reference, `GeoLocation`,
//! `GeoProximityLocation`, `Coordinates`.

use crate::errors::{Error, invalid};
use crate::geography::{DEFAULT, position};
use crate::shapes::{Coordinates, GeoLocation, GeoProximityLocation};
use zonal_dns::config::{Location, Origin, Point};

/// Reads a part of the world.
pub(super) fn location(wire: &GeoLocation, place: &str) -> Result<Location, Error> {
    let refuse = |text: &str| Err(invalid(format!("Invalid request: {text} {place}")));
    let codes = (wire.continent_code.as_deref(), wire.country_code.as_deref(), wire.subdivision_code.as_deref());
    match codes {
        (None, Some(DEFAULT), None) => Ok(Location::Default),
        _ if position(codes).is_some() => Ok(match codes {
            (None, Some(country), Some(part)) => Location::Subdivision(country.to_owned(), part.to_owned()),
            (None, Some(country), None) => Location::Country(country.to_owned()),
            (continent, ..) => Location::Continent(continent.unwrap_or_default().to_owned()),
        }),
        (Some(code), None, None) => refuse(&format!("ContinentCode {code} is not valid")),
        (None, Some(country), Some(part)) if position((None, Some(country), None)).is_some() => {
            refuse(&format!("SubdivisionCode {part} is not valid for CountryCode {country}"))
        }
        (None, Some(country), _) => refuse(&format!("CountryCode {country} is not valid")),
        (None, None, Some(_)) => refuse("SubdivisionCode needs a CountryCode"),
        (None, None, None) => refuse("Expected exactly one of [ContinentCode, CountryCode], but found none"),
        (Some(_), ..) => refuse("Expected exactly one of [ContinentCode, CountryCode], but found more than one"),
    }
}

/// The same as the wire shows it.
pub(super) fn shown_location(location: &Location) -> GeoLocation {
    let mut wire = GeoLocation::default();
    match location {
        Location::Default => wire.country_code = Some("*".to_owned()),
        Location::Continent(code) => wire.continent_code = Some(code.clone()),
        Location::Country(code) => wire.country_code = Some(code.clone()),
        Location::Subdivision(country, part) => {
            (wire.country_code, wire.subdivision_code) = (Some(country.clone()), Some(part.clone()));
        }
    }
    wire
}

/// Reads a place in the world and the bias that bends distances to it.
pub(super) fn origin(wire: &GeoProximityLocation, place: &str) -> Result<(Origin, i8), Error> {
    let refuse = |text: String| invalid(format!("Invalid request: {text} {place}"));
    if wire.local_zone_group.is_some() {
        return Err(refuse("Zonal does not support LocalZoneGroup".to_owned()));
    }
    let origin = match (&wire.aws_region, &wire.coordinates) {
        (Some(region), None) if zonal_dns::is_region(region) => Origin::Region(region.clone()),
        (Some(region), None) => return Err(refuse(format!("AWSRegion {region} is not valid"))),
        (None, Some(Coordinates { latitude, longitude })) => {
            let read = |text: &str, most| hundredths(text).filter(|degrees| degrees.abs() <= most);
            let point = read(latitude, 9_000).zip(read(longitude, 18_000));
            let (latitude, longitude) =
                point.ok_or_else(|| refuse(format!("Coordinates [{latitude}, {longitude}] are not valid")))?;
            Origin::Point(Point { latitude, longitude })
        }
        (None, None) => {
            return Err(refuse(
                "Expected exactly one of [AWSRegion, LocalZoneGroup, Coordinates], but found none".to_owned(),
            ));
        }
        (Some(_), Some(_)) => {
            return Err(refuse(
                "Expected exactly one of [AWSRegion, LocalZoneGroup, Coordinates], but found more than one".to_owned(),
            ));
        }
    };
    let bias = i8::try_from(wire.bias.unwrap_or(0)).ok().filter(|bias| bias.abs() <= 99);
    Ok((origin, bias.ok_or_else(|| refuse("Bias is out of range".to_owned()))?))
}

/// The same as the wire shows it.
pub(super) fn shown_origin(origin: &Origin, bias: i8) -> GeoProximityLocation {
    let mut wire = GeoProximityLocation { bias: (bias != 0).then(|| bias.into()), ..GeoProximityLocation::default() };
    match origin {
        Origin::Region(region) => wire.aws_region = Some(region.clone()),
        Origin::Point(point) => {
            wire.coordinates =
                Some(Coordinates { latitude: degrees(point.latitude), longitude: degrees(point.longitude) });
        }
    }
    wire
}

/// Degrees with up to two decimals.
fn hundredths(text: &str) -> Option<i32> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || part.len() > 2 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: i32 = format!("{part:0<2}").parse().ok()?;
    whole.parse::<i32>().ok()?.checked_mul(100)?.checked_add(part).map(|value| sign * value)
}

fn degrees(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, part) = (hundredths.abs() / 100, hundredths.abs() % 100);
    match part {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:02}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_have_two_decimals_at_most_and_are_shown_as_they_were_given() {
        for text in ["49.22", "-74.01", "0", "-0.5", "180", "7.05"] {
            assert_eq!(hundredths(text).map(degrees).as_deref(), Some(text), "{text}");
        }
        for text in ["", "-", ".5", "1.234", "1e1", "+1", "a"] {
            assert_eq!(hundredths(text), None, "{text}");
        }
    }
}
