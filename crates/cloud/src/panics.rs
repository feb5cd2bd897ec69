//! Panics in what services do: each ends what it happened in, and not the daemon.

use std::panic::{AssertUnwindSafe, catch_unwind};
use zonal_wire::AwsError;

/// Does something whose panic is told, and is an error of it alone. Whoever calls leaves whole, or undoes, what `act` can change.
///
/// # Errors
/// Those of `act`; an internal error where it panics.
pub(crate) fn surviving<R>(label: &str, act: impl FnOnce() -> Result<R, AwsError>) -> Result<R, AwsError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        tracing::error!("{label} failed inside");
        Err(AwsError::internal(format!("{label} failed inside")))
    })
}
