//! What a stack's values see: its parameters, its resources as they are, other stacks' exports.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use zonal_cloud::{Tx, regions::Region};

use super::Interrupt;
use crate::attributes::Policies;
use crate::model::{Deployment, Export, Stack, StackResource};
use crate::template::eval::{self, Evaluator, KNOWN_AFTER_APPLY};
use crate::template::expr::Expr;
use crate::template::{Scope, Template, TemplateError, dynamic, rules};
use crate::types::{self, Context};

/// The scope of one deployment of one stack.
pub struct StackScope<'a, 't> {
    tx: RefCell<&'a mut Tx<'t>>,
    stack: &'a Stack,
    deployment: &'a Deployment,
    resources: &'a BTreeMap<String, StackResource>,
    interrupt: &'a Interrupt,
    /// Resources whose values are not known yet, when planning.
    unknown: &'a BTreeSet<String>,
    /// The exports used so far.
    imports: RefCell<BTreeSet<String>>,
}

impl<'a, 't> StackScope<'a, 't> {
    /// A scope over the resources as they are.
    pub fn new(
        tx: &'a mut Tx<'t>,
        (stack, deployment): (&'a Stack, &'a Deployment),
        resources: &'a BTreeMap<String, StackResource>,
        unknown: &'a BTreeSet<String>,
        interrupt: &'a Interrupt,
    ) -> Self {
        StackScope {
            tx: RefCell::new(tx),
            stack,
            deployment,
            resources,
            interrupt,
            unknown,
            imports: RefCell::default(),
        }
    }

    /// The names of the exports used.
    pub fn into_imports(self) -> BTreeSet<String> {
        self.imports.into_inner()
    }

    /// The truth of the template's conditions, once its rules hold.
    ///
    /// # Errors
    /// A function in one of them fails, or a rule does not hold.
    pub fn conditions(&self, template: &Template) -> Result<BTreeMap<String, bool>, TemplateError> {
        let conditions = eval::conditions(template, self)?;
        rules::hold(template, &Evaluator { template, conditions: &conditions, scope: self })?;
        Ok(conditions)
    }

    /// A resource's properties.
    ///
    /// # Errors
    /// A function in them fails, or they are not what the type takes.
    pub fn properties(
        &self,
        template: &Template,
        conditions: &BTreeMap<String, bool>,
        logical_id: &str,
    ) -> Result<Value, TemplateError> {
        let resource = &template.resources[logical_id];
        let evaluator = Evaluator { template, conditions, scope: self };
        let mut properties = serde_json::Map::new();
        for (name, _, value) in &resource.properties {
            if let Some(value) = evaluator.value(value)? {
                let value = dynamic::resolve(value, &mut |name, version| self.stored(name, version))
                    .map_err(|wrong| TemplateError::at(resource.at, wrong))?;
                properties.insert(name.clone(), value);
            }
        }
        let table = types::named(&resource.type_name).map_or(&[][..], |known| known.properties);
        types::schema::form_all(table, properties.into()).map_err(|wrong| TemplateError::at(resource.at, wrong))
    }

    /// The value of a parameter in Parameter Store.
    fn stored(&self, name: &str, version: Option<&str>) -> Result<String, String> {
        let wanted = version.map_or_else(|| name.to_owned(), |version| format!("{name}:{version}"));
        let found = self.tx.borrow_mut().call_json("ssm", "GetParameter", &json!({"Name": wanted}));
        let found = found.ok().map(|mut found| found["Parameter"].take());
        if found.as_ref().is_some_and(|parameter| parameter["Type"] == "SecureString") {
            return Err(format!("Non-secure ssm prefix was used for secure parameter {name}"));
        }
        let value = found.and_then(|parameter| parameter["Value"].as_str().map(str::to_owned));
        value.ok_or_else(|| {
            format!("Parameter [{wanted}] referenced by a dynamic reference was not found in Parameter Store")
        })
    }

    /// A resource's two policies.
    ///
    /// # Errors
    /// A function in them fails, or they are not what they should be.
    pub fn policies(
        &self,
        template: &Template,
        conditions: &BTreeMap<String, bool>,
        logical_id: &str,
    ) -> Result<Policies, TemplateError> {
        let resource = &template.resources[logical_id];
        let evaluator = Evaluator { template, conditions, scope: self };
        let value = |policy: &Option<Expr>| match policy {
            Some(policy) => evaluator.value(policy),
            None => Ok(None),
        };
        let (creation, update) = (value(&resource.creation_policy)?, value(&resource.update_policy)?);
        Policies::read(creation.as_ref(), update.as_ref()).map_err(|wrong| TemplateError::at(resource.at, wrong))
    }

    /// A resource's metadata, as JSON text.
    ///
    /// # Errors
    /// A function in it fails.
    pub fn metadata(
        &self,
        template: &Template,
        conditions: &BTreeMap<String, bool>,
        logical_id: &str,
    ) -> Result<Option<String>, TemplateError> {
        let Some(metadata) = &template.resources[logical_id].metadata else { return Ok(None) };
        let evaluator = Evaluator { template, conditions, scope: self };
        Ok(evaluator.value(metadata)?.map(|value| value.to_string()))
    }

    fn thing(&self, logical_id: &str) -> Result<(&str, &Value, &'static types::ResourceType), TemplateError> {
        let missing = || TemplateError::new(format!("Template error: resource {logical_id} has not been created"));
        let thing = self.resources.get(logical_id).and_then(|resource| resource.thing.as_ref()).ok_or_else(missing)?;
        Ok((&thing.id, &thing.properties, types::named(&thing.type_name).ok_or_else(missing)?))
    }
}

impl Scope for StackScope<'_, '_> {
    fn parameter(&self, name: &str) -> Option<Value> {
        let scope = self.tx.borrow().scope.clone();
        match name {
            "AWS::AccountId" => Some(json!(&*scope.account)),
            "AWS::Region" => Some(json!(&*scope.region)),
            "AWS::Partition" => Some(json!("aws")),
            "AWS::URLSuffix" => Some(json!("amazonaws.com")),
            "AWS::StackName" => Some(json!(self.stack.name)),
            "AWS::StackId" => Some(json!(self.stack.id)),
            "AWS::NotificationARNs" => Some(json!(self.deployment.notification_arns)),
            other => self.deployment.resolved.get(other).cloned(),
        }
    }

    fn reference(&self, logical_id: &str) -> Result<Value, TemplateError> {
        if self.unknown.contains(logical_id) {
            return Ok(json!(KNOWN_AFTER_APPLY));
        }
        let (id, _, known) = self.thing(logical_id)?;
        Ok(json!(known.handler.reference(id)))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Result<Value, TemplateError> {
        if self.unknown.contains(logical_id) {
            return Ok(json!(KNOWN_AFTER_APPLY));
        }
        let (id, properties, known) = self.thing(logical_id)?;
        if known.gives_property(attribute) {
            return properties.get(attribute).cloned().ok_or_else(|| {
                TemplateError::new(format!(
                    "Template error: resource {logical_id} has no value for attribute {attribute}"
                ))
            });
        }
        let mut tx = self.tx.borrow_mut();
        let mut cx = Context {
            tx: &mut tx,
            stack_name: &self.stack.name,
            stack_id: &self.stack.id,
            logical_id,
            stack_tags: &self.deployment.tags,
            token: String::new(),
            interrupt: self.interrupt,
        };
        known.handler.attribute(&mut cx, id, properties, attribute).map_err(|failure| {
            TemplateError::new(format!(
                "Unable to retrieve {attribute} attribute for {}, with error message {failure}",
                known.name
            ))
        })
    }

    fn import(&self, name: &str) -> Result<String, TemplateError> {
        let value = self.tx.borrow().get::<Export>(name).map(|export| export.value.clone());
        self.imports.borrow_mut().insert(name.to_owned());
        value.ok_or_else(|| TemplateError::new(format!("No export named {name} found.")))
    }

    fn zones(&self, region: &str) -> Result<Vec<String>, TemplateError> {
        let own = self.tx.borrow().scope.region.clone();
        let region = if region.is_empty() { &*own } else { region };
        let known = Region::named(region).ok_or_else(|| {
            TemplateError::new(format!("Template error: Fn::GetAZs does not know the region {region}"))
        })?;
        Ok(known.zones().map(|(name, _)| name).collect())
    }
}
