//! Dashboards: kept and given back as they were put. Nothing here draws them.

use crate::errors::Error;
use crate::model::Dashboard;
use crate::shapes::{
    DashboardEntry, DeleteDashboardsInput, DeleteDashboardsOutput, GetDashboardInput, GetDashboardOutput,
    ListDashboardsInput, ListDashboardsOutput, PutDashboardInput, PutDashboardOutput,
};
use zonal_cloud::{Scope, Tx, View, pages};
use zonal_wire::AwsError;

const PAGE: usize = 1000;

fn arn(scope: &Scope, name: &str) -> String {
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", scope.account)
}

/// PutDashboard.
pub fn put(tx: &mut Tx<'_>, input: &PutDashboardInput) -> Result<PutDashboardOutput, AwsError> {
    let name = &input.dashboard_name;
    let fits =
        (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !fits {
        return Err(Error::Dashboard(format!("The value {name} for field DashboardName is invalid.")).into());
    }
    let body =
        serde_json::from_str::<serde_json::Value>(&input.dashboard_body).ok().filter(serde_json::Value::is_object);
    let body =
        body.ok_or_else(|| Error::Dashboard("The field DashboardBody must be a valid JSON object".to_owned()))?;
    if body.get("widgets").is_some_and(|widgets| !widgets.is_array()) {
        return Err(Error::Dashboard("The dashboard body is invalid: /widgets should be an array".to_owned()).into());
    }
    let now = tx.now;
    tx.put(Dashboard { name: name.clone(), body: input.dashboard_body.clone(), modified: now });
    Ok(PutDashboardOutput::default())
}

/// GetDashboard.
pub fn get(view: &View<'_>, input: &GetDashboardInput) -> Result<GetDashboardOutput, AwsError> {
    let name = &input.dashboard_name;
    let found = view.get::<Dashboard>(name).ok_or_else(|| missing(name))?;
    Ok(GetDashboardOutput {
        dashboard_arn: Some(arn(view.scope, name)),
        dashboard_body: Some(found.body.clone()),
        dashboard_name: Some(name.clone()),
    })
}

fn missing(name: &str) -> Error {
    Error::AlarmNotFound(format!("Dashboard {name} does not exist"))
}

/// ListDashboards.
pub fn list(view: &View<'_>, input: &ListDashboardsInput) -> Result<ListDashboardsOutput, AwsError> {
    let prefix = input.dashboard_name_prefix.as_deref().unwrap_or_default();
    let all = view.list::<Dashboard>().filter(|dashboard| dashboard.name.starts_with(prefix));
    let all = all.map(|dashboard| (dashboard.name.clone(), dashboard));
    let (page, next_token) = pages::page(all, input.next_token.as_deref(), Some(PAGE)).map_err(|_| Error::NextToken)?;
    let dashboard_entries = page
        .into_iter()
        .map(|dashboard| DashboardEntry {
            dashboard_name: Some(dashboard.name.clone()),
            dashboard_arn: Some(arn(view.scope, &dashboard.name)),
            last_modified: Some(dashboard.modified),
            size: i64::try_from(dashboard.body.len()).ok(),
        })
        .collect();
    Ok(ListDashboardsOutput { dashboard_entries, next_token })
}

/// DeleteDashboards: all of them, or none where one is not there.
pub fn delete(tx: &mut Tx<'_>, input: &DeleteDashboardsInput) -> Result<DeleteDashboardsOutput, AwsError> {
    for name in &input.dashboard_names {
        if tx.get::<Dashboard>(name).is_none() {
            return Err(missing(name).into());
        }
        tx.remove::<Dashboard>(name);
    }
    Ok(DeleteDashboardsOutput::default())
}
