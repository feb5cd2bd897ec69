//! ListMetrics.

use crate::errors::Error;
use crate::model::Metric;
use crate::query;
use crate::shapes::{ListMetricsInput, ListMetricsOutput, Metric as Shown};
use zonal_cloud::{Record, View, pages};
use zonal_wire::AwsError;

const PAGE: usize = 500;
const RECENT: i64 = 3 * 3600;
/// A metric without points for two weeks is not listed.
const LISTED: i64 = 14 * 86_400;

/// Lists metrics.
pub fn list(view: &View<'_>, input: &ListMetricsInput) -> Result<ListMetricsOutput, AwsError> {
    let oldest = view.now.secs() - if input.recently_active.is_some() { RECENT } else { LISTED };
    let matching = view.list::<Metric>().filter(|metric| {
        let id = &metric.id;
        metric.newest + crate::model::Tier::Minute.span() > oldest
            && input.namespace.as_ref().is_none_or(|namespace| *namespace == id.namespace)
            && input.metric_name.as_ref().is_none_or(|name| *name == id.name)
            && input.dimensions.iter().all(|filter| match (&filter.value, id.dimensions.get(&filter.name)) {
                (Some(wanted), Some(own)) => wanted == own,
                (None, own) => own.is_some(),
                (Some(_), None) => false,
            })
    });
    let items = matching.map(|metric| {
        let shown = Shown {
            namespace: Some(metric.id.namespace.clone()),
            metric_name: Some(metric.id.name.clone()),
            dimensions: query::shown(&metric.id.dimensions),
        };
        (metric.key().to_owned(), shown)
    });
    let (metrics, next_token) = pages::page(items, input.next_token.as_deref(), Some(PAGE))
        .map_err(|_| Error::Value(Error::NextToken.to_string()))?;
    Ok(ListMetricsOutput { metrics, next_token, ..Default::default() })
}
