//! The service's interface, generated from the `shapes` file: structs, enums, `ops`, and the table `API`.
#![allow(missing_docs, reason = "the names are AWS's, whose reference documents them")]
#![allow(
    clippy::enum_variant_names,
    clippy::large_enum_variant,
    clippy::upper_case_acronyms,
    reason = "so are the values"
)]

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));
