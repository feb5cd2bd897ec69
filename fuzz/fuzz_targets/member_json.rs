//! Any JSON, as templates hand it to operations.
#![no_main]

use zonal_wire::value;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((_, operation, rest)) = zonal_fuzz::operation(data) else { return };
    let Ok(json) = serde_json::from_slice(rest) else { return };
    let mut input = (operation.new_input)();
    if value::from_json(&json, &mut *input).is_ok() {
        let again = value::to_json(&*input);
        value::from_json(&again, &mut *(operation.new_input)()).expect("what was read is valid");
    }
});
