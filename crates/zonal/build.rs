//! Links the program to run at a fixed address, on Linux with glibc.
//!
//! A world is five processes of this one file. Where the file may be loaded anywhere, the dynamic linker writes the address of every
//! name and table of the services' interfaces into each process: more than a megabyte of memory and a millisecond of start, five times.
//! At a fixed address these pages stay the file's own and are shared. What it costs is the randomness of that one address; stack, heap
//! and libraries stay at random ones, and relocations read-only. ARCHITECTURE.md says why that is bearable.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &[&str]| std::env::var(name).is_ok_and(|value| wanted.contains(&value.as_str()));
    let usual = is("CARGO_CFG_TARGET_OS", &["linux"])
        && is("CARGO_CFG_TARGET_ENV", &["gnu"])
        && is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"]);
    // What is linked statically has a start file of its own kind.
    let whole =
        std::env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.split(',').any(|one| one == "crt-static"));
    if usual && !whole {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
