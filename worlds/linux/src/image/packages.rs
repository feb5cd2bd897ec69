//! The dpkg database, as far as choosing packages needs it.

use std::collections::{BTreeMap, BTreeSet};

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub name: String,
    pub architecture: String,
    /// Its whole entry.
    pub text: String,
}

impl Package {
    fn field(&self, name: &str) -> String {
        let mut value = String::new();
        let mut inside = false;
        for line in self.text.lines() {
            if line.starts_with([' ', '\t']) {
                if inside {
                    value.push('\n');
                    value.push_str(line);
                }
                continue;
            }
            inside = false;
            if let Some((key, rest)) = line.split_once(':')
                && key.eq_ignore_ascii_case(name)
            {
                inside = true;
                value.push_str(rest.trim());
            }
        }
        value
    }

    /// Its settings files, each with the sum of what the package brought.
    pub(super) fn settings(&self) -> Vec<(&str, &str)> {
        let Some((_, after)) = self.text.split_once("\nConffiles:") else { return Vec::new() };
        let lines = after.lines().skip(1).take_while(|line| line.starts_with(' '));
        lines
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(path, sum)| (path, sum.split(' ').next().unwrap_or(sum)))
            .collect()
    }
}

/// All installed packages.
pub(super) struct Packages {
    by_name: BTreeMap<String, Package>,
    /// Who provides a virtual package.
    provided: BTreeMap<String, String>,
}

impl Packages {
    /// Reads `status`.
    pub(super) fn parse(status: &str) -> Self {
        let mut packages = Self { by_name: BTreeMap::new(), provided: BTreeMap::new() };
        for text in status.split("\n\n").map(str::trim_end).filter(|text| !text.is_empty()) {
            let mut package = Package { name: String::new(), architecture: String::new(), text: text.to_owned() };
            if !package.field("Status").ends_with(" installed") {
                continue;
            }
            package.name = package.field("Package");
            package.architecture = package.field("Architecture");
            for name in names(&package.field("Provides")).into_iter().flatten() {
                packages.provided.insert(name, package.name.clone());
            }
            packages.by_name.insert(package.name.clone(), package);
        }
        packages
    }

    /// The packages wanted, those that every system has, and all that they depend on, by name.
    pub(super) fn closure(&self, wanted: &[&str], unwanted: &[&str]) -> Vec<&Package> {
        let mut chosen = BTreeSet::new();
        let mut open: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        // Nobody says that they depend on these.
        open.extend(self.by_name.values().filter(|one| one.field("Essential") == "yes").map(|one| one.name.clone()));
        while let Some(name) = open.pop() {
            if unwanted.contains(&name.as_str()) || chosen.contains(&name) {
                continue;
            }
            let Some(package) = self.by_name.get(&name) else { continue };
            for field in ["Pre-Depends", "Depends"] {
                for alternatives in names(&package.field(field)) {
                    let found = alternatives.iter().find_map(|name| {
                        if self.by_name.contains_key(name) { Some(name) } else { self.provided.get(name) }
                    });
                    open.extend(found.cloned());
                }
            }
            chosen.insert(name);
        }
        chosen.iter().filter_map(|name| self.by_name.get(name)).collect()
    }
}

/// `a (>= 1), b | c:any` as lists of alternatives.
fn names(list: &str) -> Vec<Vec<String>> {
    let name = |one: &str| one.split(['(', ':', '[']).next().unwrap_or_default().trim().to_owned();
    list.split(',').filter(|entry| !entry.trim().is_empty()).map(|entry| entry.split('|').map(name).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nDepends: b (>= 1), x | mta\n\
        Conffiles:\n /etc/a 11aa\n /etc/old 22bb obsolete\nDescription: a\n longer\n\n\
        Package: b\nStatus: install ok installed\nArchitecture: all\nPre-Depends: bad, c:any\n\n\
        Package: c\nStatus: deinstall ok config-files\nArchitecture: all\n\n\
        Package: bad\nStatus: install ok installed\nArchitecture: all\nDepends: d\n\n\
        Package: d\nStatus: install ok installed\nArchitecture: all\n\n\
        Package: m\nStatus: install ok installed\nArchitecture: all\nProvides: mta (= 3)\n\n\
        Package: perl\nEssential: yes\nStatus: install ok installed\nArchitecture: all\n";

    #[test]
    fn what_is_wanted_and_what_every_system_has_brings_what_it_needs_and_nothing_unwanted() {
        let packages = Packages::parse(STATUS);
        let names: Vec<&str> = packages.closure(&["a"], &["bad"]).iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "m", "perl"]);
    }

    #[test]
    fn settings_files_come_with_their_sums() {
        let packages = Packages::parse(STATUS);
        assert_eq!(packages.by_name["a"].settings(), [("/etc/a", "11aa"), ("/etc/old", "22bb")]);
    }
}
