//! Generates the interface's structs and tables from `shapes`.

fn main() {
    zonal_shapes::build();
}
