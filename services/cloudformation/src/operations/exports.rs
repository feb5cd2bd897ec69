//! ListExports, ListImports.

use zonal_cloud::{View, pages};
use zonal_wire::AwsError;

use crate::engine::importers;
use crate::errors::Error;
use crate::model::Export;
use crate::shapes;

/// How many exports a page has.
const PAGE: usize = 100;

/// ListExports.
pub fn list(view: &View<'_>, input: &shapes::ListExportsInput) -> Result<shapes::ListExportsOutput, AwsError> {
    let all = view.list::<Export>().map(|export| (export.name.clone(), export));
    let (exports, next_token) = pages::page(all, input.next_token.as_deref(), Some(PAGE))
        .map_err(|_| Error::validation("Invalid NextToken"))?;
    let exports = exports
        .into_iter()
        .map(|export| shapes::Export {
            exporting_stack_id: Some(export.stack.clone()),
            name: Some(export.name.clone()),
            value: Some(export.value.clone()),
        })
        .collect();
    Ok(shapes::ListExportsOutput { exports, next_token })
}

/// ListImports.
pub fn imports(view: &View<'_>, input: &shapes::ListImportsInput) -> Result<shapes::ListImportsOutput, AwsError> {
    let imports = importers(view, &input.export_name);
    if imports.is_empty() {
        return Err(Error::validation(format!("Export '{}' is not imported by any stack.", input.export_name)).into());
    }
    Ok(shapes::ListImportsOutput { imports, next_token: None })
}
