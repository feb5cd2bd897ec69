//! What the REST protocols put outside the body: path labels, query string, headers.

use crate::bounds::Unreadable;
use crate::facts::{Kind, ListFacts, Location, MapFacts, MemberFacts, OperationFacts, StructureFacts, TimeFormat};
use crate::form::{decode, pairs};
use crate::node::{Node, Scalar};
use crate::xml::leaf;
use crate::{Api, Structure, View};
use std::borrow::Cow;

/// A member outside the body: its values as text.
#[derive(Debug, Clone)]
pub(crate) struct Words(pub Vec<String>);

impl Node for Words {
    fn is_structure(&self) -> bool {
        false
    }

    fn member(&self, _: &MemberFacts) -> Option<Self> {
        None
    }

    fn strangers(&self, _: &StructureFacts) -> Vec<String> {
        Vec::new()
    }

    fn items(&self, _: &ListFacts) -> Option<Vec<Self>> {
        Some(self.0.iter().map(|word| Words(vec![word.clone()])).collect())
    }

    fn entries(&self, _: &MapFacts) -> Option<Vec<(String, Self)>> {
        Some(self.0.chunks_exact(2).map(|pair| (pair[0].clone(), Words(vec![pair[1].clone()]))).collect())
    }

    fn scalar(&self) -> Scalar<'_> {
        self.0.first().map_or(Scalar::Other("nothing"), |word| Scalar::Text(Cow::Borrowed(word)))
    }
}

/// The operation that answers a path, and the path's labels.
pub(crate) struct Route {
    pub operation: &'static OperationFacts,
    pub labels: Vec<(String, String)>,
}

/// Finds the operation for a method, path and query string: of those that fit, the one that says most literally.
pub(crate) fn route(api: &'static Api, method: &str, path: &str, query: &str) -> Result<Option<Route>, Unreadable> {
    let given: Vec<&str> = segments(path).collect();
    let flags = pairs(query)?;
    let mut best: Option<(usize, Route)> = None;
    for operation in api.operations.iter().filter(|operation| operation.method == method) {
        let (template, needed) = operation.uri.split_once('?').unwrap_or((operation.uri, ""));
        let fits = |flag: &str| {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            flags.iter().any(|(key, found)| key == name && (value.is_empty() || found == value))
        };
        let needs: Vec<&str> = needed.split('&').filter(|flag| !flag.is_empty()).collect();
        if !needs.iter().all(|flag| fits(flag)) {
            continue;
        }
        if let Some((literal, labels)) = fit(template, &given)? {
            let weight = literal + needs.len();
            if best.as_ref().is_none_or(|(most, _)| weight > *most) {
                best = Some((weight, Route { operation, labels }));
            }
        }
    }
    Ok(best.map(|(_, route)| route))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

type Fit = Option<(usize, Vec<(String, String)>)>;

/// How many segments are literal, and the labels' values, if the path fits the template.
fn fit(template: &str, given: &[&str]) -> Result<Fit, Unreadable> {
    let mut rest = given;
    let (mut literal, mut labels) = (0, Vec::new());
    for segment in segments(template) {
        let Some(label) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
            match rest.split_first() {
                Some((first, tail)) if *first == segment => rest = tail,
                _ => return Ok(None),
            }
            literal += 1;
            continue;
        };
        let taken = if label.ends_with('+') { rest.len() } else { rest.len().min(1) };
        let (value, tail) = rest.split_at(taken);
        let value = decode(value.join("/").as_bytes(), false)?;
        if value.is_empty() {
            return Ok(None);
        }
        labels.push((label.trim_end_matches('+').to_owned(), value));
        rest = tail;
    }
    Ok(rest.is_empty().then_some((literal, labels)))
}

/// The values of a member outside the body, if it is there.
pub(crate) fn words(
    facts: &MemberFacts,
    labels: &[(String, String)],
    query: &[(String, String)],
    headers: &http::HeaderMap,
) -> Option<Words> {
    let header = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
    let found: Vec<String> = match (facts.location, &facts.kind) {
        (Location::Uri, _) => {
            labels.iter().filter(|(name, _)| name == facts.wire()).map(|(_, value)| value.clone()).collect()
        }
        (Location::Query, _) => {
            query.iter().filter(|(name, _)| name == facts.wire()).map(|(_, value)| value.clone()).collect()
        }
        (Location::Header, Kind::List(_)) => {
            let values = headers.get_all(facts.wire()).iter().map(header);
            values.flat_map(|line| line.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>()).collect()
        }
        (Location::Header, _) => headers.get(facts.wire()).map(header).into_iter().collect(),
        (Location::Headers, _) => {
            let prefix = facts.wire().to_ascii_lowercase();
            let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                name.as_str().strip_prefix(&prefix).map(|key| [key.to_owned(), header(value)])
            };
            headers.iter().filter_map(pair).flatten().collect()
        }
        _ => Vec::new(),
    };
    (!found.is_empty()).then_some(Words(found))
}

/// The headers of an answer, and its status if a member is that.
pub(crate) fn head(structure: &dyn Structure, status: u16) -> (u16, Vec<(String, String)>) {
    let mut status = status;
    let mut headers = Vec::new();
    for (index, facts) in structure.facts().members.iter().enumerate() {
        match (facts.location, structure.view(index)) {
            (Location::Status, View::Integer(value)) => status = u16::try_from(value).unwrap_or(status),
            (Location::Headers, View::Map(map)) => {
                let kind = if let Kind::Map(map) = facts.kind { map.value } else { facts.kind };
                map.each(&mut |key, view| {
                    headers.push((format!("{}{key}", facts.wire()), leaf(view, &kind, TimeFormat::HttpDate)))
                });
            }
            (Location::Header, View::List(list)) => {
                let kind = if let Kind::List(list) = facts.kind { list.item } else { facts.kind };
                let items: Vec<String> =
                    (0..list.len()).map(|index| leaf(list.get(index), &kind, TimeFormat::HttpDate)).collect();
                headers.push((facts.wire().to_owned(), items.join(", ")));
            }
            (_, View::Absent) => {}
            (Location::Header, view) => {
                headers.push((facts.wire().to_owned(), leaf(view, &facts.kind, TimeFormat::HttpDate)))
            }
            _ => {}
        }
    }
    // A header can't hold a line break; a value that has one would be two headers.
    headers.retain(|(name, value)| name.bytes().chain(value.bytes()).all(|byte| byte >= b' ' && byte != 0x7f));
    (status, headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, expected: Option<&[&str]>) {
        let given: Vec<&str> = segments(path).collect();
        let found = fit(template, &given).expect("decodes").map(|(_, labels)| labels);
        let values = found.map(|labels| labels.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        assert_eq!(
            values,
            expected.map(|e| e.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>()),
            "{template} {path}"
        );
    }

    #[test]
    fn paths_fit_templates() {
        check("/2013-04-01/hostedzone/{Id}/rrset/", "/2013-04-01/hostedzone/Z1/rrset", Some(&["Z1"]));
        check("/2013-04-01/hostedzone/{Id}", "/2013-04-01/hostedzone/Z1/rrset", None);
        check("/2013-04-01/hostedzone/{Id}", "/2013-04-01/hostedzone/a%2Fb", Some(&["a/b"]));
        check("/2013-04-01/hostedzone/{Id}", "/2013-04-01/hostedzone/", None);
        check("/{Bucket}/{Key+}", "/b/k/e/y", Some(&["b", "k/e/y"]));
        check("/", "/", Some(&[]));
    }
}
