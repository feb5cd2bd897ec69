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
    println!("cargo::rerun-if-changed=build.rs");
    build_file(Path::new("shapes"), "shapes.rs");
}

/// For build scripts: reads the `shapes` file at `source` and writes `name` to `OUT_DIR`.
///
/// # Panics
/// If it can't.
pub fn build_file(source: &Path, name: &str) {
    println!("cargo::rerun-if-changed={}", source.display());
    let text = std::fs::read_to_string(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let file = parse(&text).unwrap_or_else(|error| panic!("{}, {error}", source.display()));
    write(name, &generate(&file));
}

/// For build scripts: writes a file to `OUT_DIR`.
///
/// # Panics
/// If it can't.
pub fn write(name: &str, text: &str) {
    let directory = std::env::var_os("OUT_DIR").unwrap_or_else(|| panic!("OUT_DIR is not set: not a build script?"));
    let path = Path::new(&directory).join(name);
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
