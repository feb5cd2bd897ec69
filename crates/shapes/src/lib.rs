//! Turns a service's `shapes` file into Rust, from its build script. Facts in, plain structs and static tables out; what is
//! done with them is `zonal-wire`'s.
#![forbid(unsafe_code)]

mod generate;
mod names;
mod parse;

pub use generate::generate;
pub use parse::{File, Malformed, parse};

use std::path::Path;

/// For build scripts: reads `shapes` beside the manifest and writes `shapes.rs` to `OUT_DIR`.
///
/// # Panics
/// If it can't: that is how a build script fails.
pub fn build() {
    println!("cargo::rerun-if-changed=shapes");
    println!("cargo::rerun-if-changed=build.rs");
    let text = std::fs::read_to_string("shapes").unwrap_or_else(|error| panic!("shapes: {error}"));
    let file = parse(&text).unwrap_or_else(|error| panic!("shapes, {error}"));
    let directory = std::env::var_os("OUT_DIR").unwrap_or_else(|| panic!("OUT_DIR is not set: not a build script?"));
    let path = Path::new(&directory).join("shapes.rs");
    std::fs::write(&path, generate(&file)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
