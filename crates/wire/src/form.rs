//! Form parameters (`Filter.1.Value.2=x`) as a tree, for the query protocol and EC2's dialect of it.

use crate::bounds::{Bounds, Meter, Unreadable};
use crate::facts::{ElementName, ListFacts, MapFacts, MemberFacts, StructureFacts};
use crate::node::{Node, Scalar};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Parameters that belong to the request itself, not to the operation's input.
const COMMON: [&str; 9] = [
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SecurityToken",
    "Timestamp",
    "Expires",
];

/// The parameters below one prefix.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    value: Option<String>,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    /// Adds the parameters of a query string or form body.
    pub fn read(&mut self, text: &[u8], bounds: &Bounds) -> Result<(), Unreadable> {
        let mut meter = Meter::new(bounds);
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (key, value) = split(pair);
            let (key, value) = (decode(key, true)?, decode(value, true)?);
            meter.count(key.matches('.').count() + 1)?;
            let node = key.split('.').fold(&mut *self, |node, part| node.children.entry(part.to_owned()).or_default());
            node.value = Some(value);
        }
        Ok(())
    }

    /// The value of a parameter without dots.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.children.get(name)?.value.as_deref()
    }

    /// The children named by numbers, in the order of the numbers: sparse indexes cost nothing.
    fn numbered(&self) -> Vec<&Tree> {
        let mut found: Vec<(u64, &Tree)> =
            self.children.iter().filter_map(|(name, tree)| Some((name.parse().ok()?, tree))).collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, tree)| tree).collect()
    }

    fn is_empty_value(&self) -> bool {
        self.children.is_empty() && self.value.as_deref().is_none_or(str::is_empty)
    }
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// The pairs of a query string, decoded, in order.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let decoded = |pair: &str| {
        let (key, value) = split(pair.as_bytes());
        Ok((decode(key, true)?, decode(value, true)?))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(decoded).collect()
}

/// Undoes percent encoding; `plus` says whether `+` is a space.
pub(crate) fn decode(text: &[u8], plus: bool) -> Result<String, Unreadable> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let digits = bytes.as_slice().get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let value = digits
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| Unreadable::Syntax("a percent sign without two hexadecimal digits".into()))?;
                out.push(value);
                bytes = bytes.as_slice()[2..].iter();
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| Unreadable::Syntax("text that is not UTF-8".into()))
}

/// A node of a form, read as query or as EC2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    pub tree: &'a Tree,
    pub ec2: bool,
    pub top: bool,
}

impl<'a> Form<'a> {
    fn at(&self, tree: &'a Tree) -> Form<'a> {
        Form { tree, ec2: self.ec2, top: false }
    }

    /// Where a list's or map's elements are: below `name` unless flat.
    fn within(&self, name: &str, flat: bool) -> Option<&'a Tree> {
        if flat { Some(self.tree) } else { self.tree.children.get(name) }
    }
}

impl Node for Form<'_> {
    fn is_structure(&self) -> bool {
        !self.tree.children.is_empty() || self.tree.is_empty_value()
    }

    fn member(&self, facts: &MemberFacts) -> Option<Self> {
        self.tree.children.get(facts.query).map(|tree| self.at(tree))
    }

    fn strangers(&self, facts: &StructureFacts) -> Vec<String> {
        // Query services ignore what they do not know.
        if !self.ec2 {
            return Vec::new();
        }
        let common = |name: &str| self.top && (COMMON.contains(&name) || name.starts_with("X-Amz-"));
        let known = |name: &str| facts.members.iter().any(|member| member.query == name);
        self.tree.children.keys().filter(|name| !known(name) && !common(name)).cloned().collect()
    }

    fn items(&self, facts: &ListFacts) -> Option<Vec<Self>> {
        if self.tree.is_empty_value() {
            return Some(Vec::new());
        }
        let name = facts.item_element.map_or("member", ElementName::name);
        let within = self.within(name, self.ec2 || facts.flat)?;
        let items = within.numbered();
        (!items.is_empty()).then(|| items.into_iter().map(|tree| self.at(tree)).collect())
    }

    fn entries(&self, facts: &MapFacts) -> Option<Vec<(String, Self)>> {
        if self.tree.is_empty_value() {
            return Some(Vec::new());
        }
        let entries = self.within("entry", facts.flat)?.numbered();
        entries
            .into_iter()
            .map(|tree| Some((tree.get(facts.key_name)?.to_owned(), self.at(tree.children.get(facts.value_name)?))))
            .collect()
    }

    fn scalar(&self) -> Scalar<'_> {
        match &self.tree.value {
            Some(value) => Scalar::Text(Cow::Borrowed(value)),
            None => Scalar::Other("{...}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Tree, Unreadable> {
        let mut tree = Tree::default();
        tree.read(text.as_bytes(), &Bounds::default()).map(|()| tree)
    }

    #[test]
    fn percent_and_plus_are_undone() {
        assert_eq!(tree("A=b+c%2Fd&E=%C3%A9").expect("reads").get("A"), Some("b c/d"));
        assert_eq!(tree("A=b+c%2Fd&E=%C3%A9").expect("reads").get("E"), Some("é"));
        for broken in ["A=%", "A=%2", "A=%zz", "A=%+1", "A=%ff", "%80=1"] {
            assert!(matches!(tree(broken), Err(Unreadable::Syntax(_))), "{broken}");
        }
    }

    #[test]
    fn a_huge_index_is_one_item() {
        let tree = tree("Id.999999999=b&Id.2=a&Id.99999999999999999999999=c&Id.x=d").expect("reads");
        let values: Vec<_> = tree.children["Id"].numbered().into_iter().map(|item| item.value.clone()).collect();
        assert_eq!(values, [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn depth_and_number_are_bounded() {
        assert_eq!(tree(&format!("{}=1", vec!["A"; 33].join("."))), Err(Unreadable::TooDeep(32)));
        let many: Vec<String> = (0..100_001).map(|i| format!("A.{i}=")).collect();
        assert_eq!(tree(&many.join("&")), Err(Unreadable::TooMany(100_000)));
    }
}
