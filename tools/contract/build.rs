//! Generates the interface of every service that has a `shapes` file, here and not through the services' crates: the
//! contract is of shapes and wire alone, and checks without building anything else.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A new service is in the lock file; watching its directory would rebuild this on every change there.
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    let mut services: Vec<String> = std::fs::read_dir("../../services")
        .unwrap_or_else(|error| panic!("services: {error}"))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new("../../services").join(name).join("shapes").exists())
        .collect();
    services.sort();
    let (mut modules, mut apis) = (String::new(), String::new());
    for service in &services {
        zonal_shapes::build_file(&Path::new("../../services").join(service).join("shapes"), &format!("{service}.rs"));
        _ = write!(
            modules,
            "#[allow(missing_docs, dead_code, clippy::all)]\nmod {service} {{\n    include!(concat!(env!(\"OUT_DIR\"), \"/{service}.rs\"));\n}}\n"
        );
        _ = write!(apis, "&{service}::API, ");
    }
    let text = format!(
        "{modules}\n/// Every service's interface.\npub static APIS: [&zonal_wire::Api; {}] = [{apis}];\n",
        services.len()
    );
    zonal_shapes::write("apis.rs", &text);
}
